"""Speed: how fast it is, measured on one machine, beside the same models in PyTorch.

The peers run in a Python environment of their own that holds what `experiments/speed/requirements-peers.txt`
names. The sides take turns; figures are medians with their quartiles. Without `--peers` our side is measured
alone. Each section is kept as soon as it is measured.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import tensorflow as tf

from experiments.record import Result, circumstances
from experiments.runner import Options, many
from experiments.speed.growth import catalogue_size, history_length
from experiments.speed.ours import Setup
from experiments.speed.peers import Peer
from experiments.speed.serving import evaluation, serving
from experiments.speed.timing import note
from experiments.speed.training import lower_precision, matrix_peak, time_to_quality, training_steps

WITH_PEERS = {"training steps": training_steps, "time to quality": time_to_quality}
"""Sections that have another side."""
SECTIONS = {
    **WITH_PEERS,
    "matrix peak": matrix_peak,
    "lower precision": lower_precision,
    "history length": history_length,
    "catalogue size": catalogue_size,
    "serving": serving,
    "evaluation": evaluation,
}
OPTIONS: Options = {
    "--only": many(SECTIONS),
    "--peers": {"help": "python of an environment that has PyTorch"},
    "--target": {"type": float, "default": 0.15, "help": "NDCG@10 that time to quality goes to"},
    "--cap-minutes": {"type": float, "default": 30.0, "help": "of training, for each side and run"},
    "--repeats": {"type": int, "default": 3, "help": "of time to quality, each with its own seed"},
    "--threads": {"type": int, "default": os.cpu_count(), "help": "of both sides"},
    "--quick": {"action": "store_true", "help": "tiny sizes, to see that all of it runs"},
}
PATH = "speed#{only}"


def run(only: str, peers: str | None, threads: int, folder: Path, **given: Any) -> Result:
    """Measure one section: where, when and with what, and its figures."""
    load, began, row = os.getloadavg(), time.monotonic(), circumstances()
    note(f"{only}; the load is {load[0]:.2f}")
    # It warns of graphs made anew: every model measured here has one of its own.
    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    about: Result = {"versions": {"ours": row["versions"]}}
    with ExitStack() as stack:
        files, peer = Path(stack.enter_context(tempfile.TemporaryDirectory())), None
        if only in WITH_PEERS:
            about["peers"] = "measured" if peers else "none asked for"
            peer = stack.enter_context(closing(Peer(peers, threads))) if peers else None
        results = SECTIONS[only](Setup(files, peer, **given))
        if peer is not None:
            about["versions"]["peers"] = peer.versions
            about["processor seconds of the idle side, up to here"] = peer.idleness
    return {
        **about,
        "threads": threads,
        "load average at the start": [round(value, 2) for value in load],
        "minutes": round((time.monotonic() - began) / 60, 1),
        "quick": given["quick"],
        "results": results,
    }
