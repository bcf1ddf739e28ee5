"""Talking to the other side: PyTorch in a process and a Python environment of its own.

Both processes stay alive and warm; one works while the other waits for a line. Each says how much processor
time it used while it should have been idle, so that the reader can see that neither disturbed the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCRIPT = Path(__file__).with_name("torch_peers.py")
INSTALL = (
    "install experiments/speed/requirements-peers.txt into a Python environment and name its python: --peers"
)


class PeerError(RuntimeError):
    """The other side cannot be started, or could not do what it was asked."""


class Peer:
    """The other process.

    Args:
        python: of the environment that has PyTorch.
        threads: how many it may use.

    Attributes:
        about: its versions and threads.
        idle: processor seconds that the peer used while it waited for us.
        waiting: processor seconds that we used while we waited for the peer.
        waited: seconds that we waited.

    Raises:
        PeerError: it cannot be started; the message says what to do.
    """

    def __init__(self, python: str | os.PathLike[str], threads: int) -> None:
        hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        env["OMP_NUM_THREADS"] = str(threads)
        self.idle = self.waiting = self.waited = 0.0
        try:
            # The path as it was given: resolving its links would leave the environment.
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [os.fspath(python), str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf8",
                env=env,
            )
        except OSError as error:
            raise PeerError(f"the peers' python cannot be started ({error.strerror}): {INSTALL}") from error
        try:
            self.about = self.ask("about", threads=threads)
        except PeerError:
            self.close()
            raise

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        """Have one thing done and wait for it.

        Args:
            do: the command, a name of `COMMANDS` in `torch_peers.py`.
            given: its arguments, whatever JSON can hold.

        Returns:
            The answer.

        Raises:
            PeerError: the peer ended, or says that something went wrong.
        """
        began, used = time.perf_counter(), time.process_time()
        assert self.process.stdin is not None  # noqa: S101 - for the type checker: both are pipes
        assert self.process.stdout is not None  # noqa: S101
        # If it has ended, what it said last is still to be read.
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.waited += time.perf_counter() - began
        self.waiting += time.process_time() - used
        if not line:
            raise PeerError(f"the peer ended at {do!r}: what it wrote to stderr says why")
        answer: dict[str, Any] = json.loads(line)
        self.idle += answer.pop("idle", 0.0)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def idleness(self) -> dict[str, float]:
        """What each side used of the processor while it was the other's turn, in seconds."""
        return {
            "peer while we worked": round(self.idle, 2),
            "we while the peer worked": round(self.waiting, 2),
            "seconds the peer worked": round(self.waited, 1),
        }

    def close(self) -> None:
        """End the process: it stops when it can read no further line."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
