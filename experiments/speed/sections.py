"""Speed: how fast it is, measured on one machine, beside the same models in PyTorch.

The peers run in a Python environment of their own that holds what `experiments/speed/requirements-peers.txt`
names. The sides take turns; figures are medians with their quartiles. Without `--peers` our side is measured
alone. Each section is kept as soon as it is measured.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from experiments.record import Result, circumstances
from experiments.runner import Options, many
from experiments.speed.growth import catalogue_size, history_length
from experiments.speed.harness import Setup, note
from experiments.speed.peers import Peer
from experiments.speed.serving import evaluation, serving
from experiments.speed.training import lower_precision, matrix_peak, time_to_quality, training_steps

SECTIONS = {
    "training steps": training_steps,
    "time to quality": time_to_quality,
    "matrix peak": matrix_peak,
    "lower precision": lower_precision,
    "history length": history_length,
    "catalogue size": catalogue_size,
    "serving": serving,
    "evaluation": evaluation,
}
OPTIONS: Options = {
    "--only": many(SECTIONS),
    "--peers": {"default": "", "help": "python of an environment that has PyTorch"},
    "--cap-minutes": {"type": float, "default": 30.0, "help": "of training, for each side and run"},
    "--repeats": {"type": int, "default": 3, "help": "of time to quality, each with its own seed"},
    "--quick": {"action": "store_true", "help": "tiny sizes, to see that all of it runs"},
}
PATH = "speed#{only}"


def run(only: str, folder: Path, **given: Any) -> Result:
    """Measure one section: where, when and with what, and its figures."""
    load, began, setup = os.getloadavg(), time.monotonic(), Setup(**given)
    note(f"{only}; the load is {load[0]:.2f}")
    # It warns of graphs made anew: every model measured here has one of its own.
    tf.get_logger().setLevel("ERROR")
    results = SECTIONS[only](setup)
    theirs = {"peers": Peer.versions} if Peer.versions else {}
    return {
        "versions": {"ours": circumstances()["versions"], **theirs},
        "threads": os.cpu_count(),
        "load average at the start": [round(value, 2) for value in load],
        "minutes": round((time.monotonic() - began) / 60, 1),
        "quick": setup.quick,
        "results": results,
    }
