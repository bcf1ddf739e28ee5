"""What every section is given, and sides that take turns: medians and quartiles of their times."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import keras
import numpy as np

import imtlib as imt
from experiments.speed.peers import Batches
from imtlib.data.splits import Split
from imtlib.training.batches import TrainingBatches
from imtlib.types import FloatArray

Side = Callable[[], float]
"""Does its work once, and returns how many seconds that took."""


@dataclass
class Setup:
    """What every section is given.

    Attributes:
        peers: python of an environment that has PyTorch; empty if our side is measured alone.
        quick: tiny sizes on a simulated log, to see that all of it runs.
        cap_minutes: of training, for each side, on its way to a quality.
        repeats: how many such runs there are, each with a seed of its own.
    """

    peers: str = ""
    quick: bool = False
    cap_minutes: float = 30.0
    repeats: int = 1

    def size(self, full: int, quick: int) -> int:
        """Choose a size: the full one, or the one for a quick look."""
        return quick if self.quick else full

    @cached_property
    def split(self) -> Split:
        """MovieLens-1M, or a small simulated log, the last two events of each user left out."""
        small = imt.simulate(60, 40, 4, events=12, seed=3)[0] if self.quick else None
        return imt.leave_one_out(small or imt.load_dataset("movielens-1m"))

    def batches(self, batch: int, window_length: int) -> Batches:
        """Take the first batches of the first epoch with seed 0, in their random order."""
        every = TrainingBatches(self.split.train, batch, window_length, seed=0)
        return list(islice(every, self.size(10, 2)))

    def gru(self, through_interests: bool, seed: int = 0, **settings: Any) -> imt.InterestMigrationModel:
        """Make our model as it is compared: one layer, two heads, 128 units."""
        keras.utils.set_random_seed(seed)
        how = {"units": self.size(128, 8), "layers": 1, "heads": 2, **settings}
        return imt.InterestMigrationModel.for_log(
            self.split.train, through_interests=through_interests, **how
        )

    def sasrec(self, seed: int = 0, **settings: Any) -> imt.SequenceBaseline:
        """Make our SASRec as published: 64 units, two layers, 200 events."""
        keras.utils.set_random_seed(seed)
        how = {"units": self.size(64, 8), "layers": 2, **settings}
        return imt.SequenceBaseline.for_log(self.split.train, encoder="sasrec", **how)


def note(text: str) -> None:
    """Write one line to stderr, so that whoever waits sees how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def short(value: float) -> float:
    """Round a figure to four digits."""
    return float(f"{value:.4g}")


def spread(values: Sequence[float] | FloatArray) -> dict[str, Any]:
    """Give median, quartiles and number of measured values."""
    low, middle, high = (short(value) for value in np.percentile(values, [25, 50, 75]))
    return {"median": middle, "quartiles": [low, high], "measured": len(values)}


def timed(call: Callable[[], object]) -> Side:
    """Make a side of a call."""

    def turn() -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return turn


def alternate(sides: Mapping[str, Side], rounds: int) -> dict[str, FloatArray]:
    """Let every side warm up once, then take turns, so that none always comes after the same one.

    Returns:
        The seconds of each side's turns, by its name.
    """
    note(f"  seconds while warming up: { ({name: short(side()) for name, side in sides.items()}) }")
    names, seconds = list(sides), {name: np.zeros(rounds) for name in sides}
    for k in range(rounds):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            seconds[name][k] = sides[name]()
        note(f"  round {k + 1} of {rounds}: { ({name: short(seconds[name][k]) for name in names}) }")
    return seconds
