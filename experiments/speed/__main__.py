"""How fast it is, measured on one machine in one run: `python -m experiments.speed --peers /path/to/python`.

The peers are the same models in PyTorch, in a Python environment of their own that holds what
`experiments/speed/requirements-peers.txt` names. The sides take turns; figures are medians with their
quartiles. Without `--peers` our side is measured alone. Sections that the result file has already are
measured anew if they are asked for, and stay as they are if not.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tensorflow as tf

from experiments.benchmark import machine, write
from experiments.speed.ours import Setup
from experiments.speed.peers import INSTALL, Peer, PeerError
from experiments.speed.scaling_speed import catalogue_size, history_length
from experiments.speed.serving_speed import evaluation, serving
from experiments.speed.timing import note
from experiments.speed.training_speed import lower_precision, matrix_peak, time_to_quality, training_steps

Section = Callable[[Setup], dict[str, Any]]
SECTIONS: dict[str, Section] = {
    "training steps": training_steps,
    "time to quality": time_to_quality,
    "matrix peak": matrix_peak,
    "lower precision": lower_precision,
    "history length": history_length,
    "catalogue size": catalogue_size,
    "serving": serving,
    "evaluation": evaluation,
}
WITH_PEERS = ("training steps", "time to quality")
"""Sections that have another side."""
NOT_ASKED = f"none asked for; to have them, {INSTALL}"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.speed", description=__doc__)
    parser.add_argument("--peers", help="python of an environment that has PyTorch")
    names = list(SECTIONS)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="the sections to measure")
    parser.add_argument("--out", type=Path, default=Path("experiments/results/speed.json"))
    parser.add_argument("--target", type=float, default=0.15, help="NDCG@10 that time to quality goes to")
    parser.add_argument("--cap-minutes", type=float, default=30.0, help="of training, for each side and run")
    parser.add_argument("--runs", type=int, default=3, help="of time to quality, each with its own seed")
    parser.add_argument("--threads", type=int, help="of both sides; by default one for each processor")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all of it runs")
    return parser.parse_args(given)


def peer_for(path: str | None, threads: int) -> tuple[Peer | None, str]:
    """The other side, if it is asked for and can be had; and a sentence about it."""
    if path is None:
        return None, NOT_ASKED
    try:
        peer = Peer(path, threads)
    except PeerError as error:
        note(f"The peers are skipped: {error}.")
        return None, f"skipped: {error}"
    return peer, "measured"


def measured(name: str, setup: Setup, peers: str, threads: int) -> dict[str, Any]:
    """One section: where, when and with what it was measured, and its figures.

    Args:
        name: of the section.
        setup: what it is given.
        peers: the sentence about the peers.
        threads: that each side may use.
    """
    load, began = os.getloadavg(), time.monotonic()
    note(f"{name}; the load is {load[0]:.2f}")
    versions: dict[str, Any] = {
        "ours": {package: version(package) for package in ("tensorflow", "keras", "numpy", "imtlib")}
    }
    about: dict[str, Any] = {}
    if name in WITH_PEERS:
        about["peers"] = peers
        if setup.peer is not None:
            versions["peers"] = setup.peer.about["versions"]
    results = SECTIONS[name](setup)
    if name in WITH_PEERS and setup.peer is not None:
        about["processor seconds of the idle side, up to here"] = setup.peer.idleness()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "versions": versions,
        "threads": threads,
        "load average at the start": [round(value, 2) for value in load],
        "minutes": round((time.monotonic() - began) / 60, 1),
        "quick": setup.quick,
        **about,
        "results": results,
    }


def merged(path: Path, name: str, section: Mapping[str, Any]) -> None:
    """Write a section into the result file, beside those that are there, at one stroke."""
    held = json.loads(path.read_text("utf8")) if path.exists() else {}
    held[name] = section
    order = [*SECTIONS, *(other for other in held if other not in SECTIONS)]
    write({key: held[key] for key in order if key in held}, path)


def main(given: Sequence[str] | None = None) -> None:
    """Measure what is asked for; each section is kept as soon as it is measured."""
    asked = arguments(given)
    threads = asked.threads or os.cpu_count() or 1
    # It warns of graphs made anew: every model measured here has one of its own.
    tf.get_logger().setLevel("ERROR")
    if asked.threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        peer, sentence = None, NOT_ASKED
        if set(asked.only) & set(WITH_PEERS):
            peer, sentence = peer_for(asked.peers, threads)
        if peer is not None:
            stack.enter_context(peer)
        setup = Setup(folder, asked.quick, peer, asked.target, asked.cap_minutes, asked.runs)
        for name in asked.only:
            merged(asked.out, name, measured(name, setup, sentence, threads))
            note(f"{name}: kept in {asked.out}")


if __name__ == "__main__":
    main()
