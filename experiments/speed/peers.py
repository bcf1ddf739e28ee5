"""The other side: PyTorch in a process and a Python environment of its own, and what it is handed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import imtlib as imt
from imtlib.config import TrainingConfig
from imtlib.data.histories import Histories
from imtlib.data.inputs import Arrays, inputs
from imtlib.training.batches import TrainingBatches
from imtlib.types import IntArray, ScoreArray

Model = imt.InterestMigrationModel | imt.SequenceBaseline
Batches = Sequence[tuple[Arrays, IntArray]]
TABLES = ("item", "scenario", "behaviour", "gap")
LENGTH = 200
"""Events that the peers read of a history, and that the padded form makes of every one."""


class Peer:
    """One of our models as PyTorch has it, in a process that stays alive and warm, and waits when not asked.

    Args:
        python: of an environment that has PyTorch.
        form: `"packed"` or `"padded"`, as `torch_peer.py` says.
        model: ours, whose present weights are the first ones.
        seed: of the dropout.

    Attributes:
        losses: before each step of the last training, nats.
        versions: of what the other side has, once there was one; of the class.

    Raises:
        RuntimeError: the process has ended.
    """

    losses: Sequence[float] = ()
    versions: ClassVar[dict[str, str]] = {}

    def __init__(self, python: str, form: str, model: Model, seed: int = 0) -> None:
        self.form, self.catalogue = form, model.catalogue
        self.pipe, theirs = Pipe()
        end, script = theirs.fileno(), Path(__file__).with_name("torch_peer.py")
        # -E: what our environment says of Python's paths is not for the other.
        self.process = subprocess.Popen([python, "-E", str(script), str(end)], pass_fds=[end])  # noqa: S603
        theirs.close()
        about = {"form": form, "seed": seed, "threads": os.cpu_count()}
        about |= {"config": asdict(model.config), "weight_decay": TrainingConfig().weight_decay}
        interests = model.catalogue.item_interests.astype(np.float32)
        Peer.versions = self._ask({**about, "weights": model.get_weights(), "item_interests": interests})

    def _ask(self, message: object) -> Any:
        try:
            self.pipe.send(message)
            return self.pipe.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise RuntimeError("the peer ended; has it what requirements-peers.txt names?") from error

    def train(self, batches: Batches, rates: Sequence[float]) -> float:
        """Train on batches, each at its own rate; returns the seconds."""
        named = [{**arrays, "target": target} for arrays, target in batches]
        seconds, self.losses = self._ask(("train", (named, rates)))
        return float(seconds)

    def score(self, histories: Histories) -> ScoreArray:
        """Compute the logits of all items, `(n, N)`."""
        return np.asarray(self._ask(("score", (inputs(histories, LENGTH),))))

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.kill()
        self.process.wait()


def padded(log: imt.BehaviourLog, users: int, length: int = LENGTH, epoch: int = 0) -> Batches:
    """Make the batches of an epoch as public recipes have them: any users, all padded to one length.

    Of a user with more than T + 1 events, a window at a random place counts, as for ours.

    Returns:
        Arrays `(B, T)`, and targets `(B, T + 1)`, −1 where there is nothing to learn: behind the last event,
        and before the first, which public recipes do not ask for.
    """
    every = TrainingBatches(log, users, length + 1, seed=0, bucket_by_length=False)
    every.epoch = epoch
    found = []
    for arrays, target in every:
        target[:, 0] = -1
        wider = ((0, 0), (0, length - arrays["item"].shape[1]))
        filled = {name: np.pad(arrays[name], wider) for name in TABLES}
        found.append((filled, np.pad(target, wider, constant_values=-1)))
    return found
