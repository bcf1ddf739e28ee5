"""Our side: what every section is given, single steps on given batches, and the clock of a whole run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import imtlib as imt
from experiments.speed.peers import Model, Peer
from experiments.speed.timing import Turn
from imtlib.config import TrainingConfig
from imtlib.data.inputs import Arrays
from imtlib.data.splits import Split
from imtlib.layers.backend import signature
from imtlib.training.batches import TrainingBatches
from imtlib.training.trainer import compile_for_training
from imtlib.types import IntArray


@dataclass
class Setup:
    """What every section is given.

    Attributes:
        folder: for files that pass from one side to the other.
        peer: the other side, if there is one.
        quick: tiny sizes on a simulated log, to see that all of it runs.
        target: NDCG@10 on the validation requests that the time is taken to.
        cap_minutes: of training, for each side, until then.
        repeats: how many such runs there are, each with a seed of its own.
    """

    folder: Path
    peer: Peer | None = None
    quick: bool = False
    target: float = 0.15
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

    def batches(self, batch: int, window_length: int) -> list[tuple[Arrays, IntArray]]:
        """Take the first batches of the first epoch with seed 0, in their random order."""
        every = TrainingBatches(self.split.train, batch, window_length, seed=0)
        return [one for one, _ in zip(every, range(self.size(10, 2)), strict=False)]

    def gru(self, through_interests: bool, seed: int = 0, **settings: Any) -> imt.InterestMigrationModel:
        """Make our model as it is compared: one layer, two heads, 128 units."""
        keras.utils.set_random_seed(seed)
        how: dict[str, Any] = {
            "units": self.size(128, 8),
            "layers": 1,
            "heads": 2,
            "through_interests": through_interests,
        }
        return imt.InterestMigrationModel.for_log(self.split.train, **how, **settings)

    def sasrec(self, seed: int = 0, **settings: Any) -> imt.SequenceBaseline:
        """Make our SASRec as published: 64 units, two layers, 200 events."""
        keras.utils.set_random_seed(seed)
        how = {"units": self.size(64, 8), "layers": 2, **settings}
        return imt.SequenceBaseline.for_log(self.split.train, encoder="sasrec", **how)


class OurSteps:
    """A side that takes one training step on each batch; one graph serves every size, as in `fit`."""

    def __init__(self, model: Model, batches: list[tuple[Arrays, IntArray]], steps: int = 95) -> None:
        compile_for_training(model, TrainingConfig(), steps)
        self.batches = batches
        self.events = sum(int((target >= 0).sum()) for _, target in batches)
        arrays, target = batches[0]
        shapes = (signature(arrays), tf.TensorSpec((None, None), target.dtype))
        self.step = tf.function(lambda *batch: model.train_step(batch), input_signature=shapes)

    def __call__(self) -> Turn:
        """Train on every batch once; the loss is read after each, as a progress bar reads it."""
        began = time.perf_counter()
        for arrays, target in self.batches:
            float(self.step(arrays, target)["loss"])
        return Turn(time.perf_counter() - began, len(self.batches), self.events)


class Way(keras.callbacks.Callback):
    """The way to a quality: what epochs took and reached; as a callback, `fit` ends where it does."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.target, self.cap, self.history = setup.target, 60 * setup.cap_minutes, list[dict[str, float]]()
        self.trained = self.validated = self.began = self.ended = 0.0

    def add(self, seconds: float, validation: float, quality: float) -> bool:
        """Add an epoch; returns whether it was the last."""
        self.trained, self.validated = self.trained + seconds, self.validated + validation
        self.history.append({"seconds": round(self.trained, 2), "NDCG@10": round(quality, 5)})
        self.reached = quality >= self.target
        return self.reached or self.trained >= self.cap

    def result(self) -> dict[str, Any]:
        """Give what the result file holds."""
        return {
            "reached": self.reached,
            "seconds of training": round(self.trained, 1),
            "epochs": len(self.history),
            "seconds of validation": round(self.validated, 1),
            "history": self.history,
        }

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Begin to take the time."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Take the time: the last batch's is that of the epoch."""
        self.ended = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write down what `fit` has measured before it calls here."""
        times = (self.ended - self.began, time.perf_counter() - self.ended)
        self.model.stop_training |= self.add(*times, (logs or {})["val_NDCG@10"])
