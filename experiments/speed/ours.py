"""Our side: single steps on given batches, and whole runs of `imtlib.fit`, an epoch at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from experiments.speed.peers import Peer
from experiments.speed.porting import Model
from experiments.speed.timing import Turn
from imtlib.baselines.sequential import SequenceBaseline
from imtlib.config import TrainingConfig
from imtlib.data.inputs import Arrays
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split, leave_one_out
from imtlib.datasets.registry import load_dataset
from imtlib.layers.backend import signature
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.training.batches import TrainingBatches
from imtlib.training.trainer import compile_for_training, fit
from imtlib.types import IntArray

Batches = Sequence[tuple[Arrays, IntArray]]
FITTING: dict[str, Any] = {"learning_rate": 3e-3, "weight_decay": 0.01, "epochs": 20, "seed": 0}
"""As `fit` has them by default."""


@dataclass
class Setup:
    """What every section is given.

    Attributes:
        folder: for files that pass from one side to the other.
        quick: tiny sizes on a simulated log, to see that all of it runs.
        peer: the other side, if there is one.
        target: NDCG@10 on the validation requests that the time is taken to.
        cap: minutes that each side may train until then.
        runs: how many there are, each with a seed of its own.
    """

    folder: Path
    quick: bool = False
    peer: Peer | None = None
    target: float = 0.12
    cap: float = 30.0
    runs: int = 1
    made: dict[str, Any] = field(default_factory=dict)

    def size(self, full: int, quick: int) -> int:
        """A size: the full one, or the one for a quick look."""
        return quick if self.quick else full

    @cached_property
    def log(self) -> BehaviourLog:
        """MovieLens-1M, or a small simulated log."""
        if self.quick:
            return simulate(users=60, items=40, interests=4, events=12, seed=3)[0]
        return load_dataset("movielens-1m")

    @cached_property
    def split(self) -> Split:
        """The log, the last two events of each user left out."""
        return leave_one_out(self.log)

    def batches(self, batch: int, stretch: int, count: int | None = None) -> list[tuple[Arrays, IntArray]]:
        """The first `count` batches of the first epoch with seed 0, in their random order."""
        every = TrainingBatches(self.split.train, batch, stretch, seed=0)
        return [one for one, _ in zip(every, range(count or len(every)), strict=False)]

    def gru(
        self, through_interests: bool, seed: int = 0, precision: str = "float32"
    ) -> InterestMigrationModel:
        """Our model as it is compared: one layer, two heads, 128 units."""
        keras.utils.set_random_seed(seed)
        return InterestMigrationModel.for_log(
            self.split.train,
            units=self.size(128, 8),
            layers=1,
            heads=2,
            through_interests=through_interests,
            precision=precision,
        )

    def sasrec(self, seed: int = 0) -> SequenceBaseline:
        """Our SASRec as published: 64 units, two layers, 200 events."""
        keras.utils.set_random_seed(seed)
        return SequenceBaseline.for_log(self.split.train, encoder="sasrec", units=self.size(64, 8), layers=2)


def compiled(model: Model, steps: int) -> Model:
    """Give a model the optimiser of `imtlib.training.trainer.fit`."""
    compile_for_training(model, TrainingConfig(**FITTING), steps)
    return model


class OurSteps:
    """A side that takes one training step on each of its batches.

    As in `fit`, one graph serves every size of batch and length of history.

    Args:
        model: it is trained.
        batches: as `TrainingBatches` gives them.
        steps: of an epoch, for the rate.
    """

    def __init__(self, model: Model, batches: Batches, steps: int = 95) -> None:
        self.batches = batches
        self.events = sum(int((target >= 0).sum()) for _, target in batches)
        arrays, target = batches[0]
        shapes = (signature(arrays), tf.TensorSpec((None, None), target.dtype))
        trained = compiled(model, steps)
        self.step = tf.function(lambda *batch: trained.train_step(batch), input_signature=shapes)

    def __call__(self) -> Turn:
        """Train on every batch once; the loss is read after each, as a progress bar reads it."""
        began = time.perf_counter()
        for arrays, target in self.batches:
            float(self.step(arrays, target)["loss"])
        return Turn(time.perf_counter() - began, len(self.batches), self.events)


class PeerSteps:
    """A side that has the peer take steps.

    Args:
        peer: the other side.
        name: of its model.
        file: of the batches.
        count: steps a turn.
        size: users a batch, in the padded form.
    """

    def __init__(self, peer: Peer, name: str, file: str, count: int, size: int = 0) -> None:
        self.peer, self.given = peer, {"name": name, "file": file, "count": count, "size": size}

    def __call__(self) -> Turn:
        """Have it done."""
        answer = self.peer.ask("steps", **self.given)
        return Turn(answer["seconds"], answer["steps"], answer["events"])


class _Ended(Exception):
    """No further epoch is asked for."""


class OurRun(keras.callbacks.Callback):
    """`fit`, in a thread of its own that is let go for one epoch at a time.

    Args:
        model: it is trained.
        split: as for `fit`.
        fitting: further arguments of `fit`.
    """

    def __init__(self, model: Model, split: Split, **fitting: Any) -> None:
        super().__init__()
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self.rows: list[dict[str, float]] = []
        self.failure: BaseException | None = None
        self.ending = self.over = False
        self._began = self._trained = 0.0
        self._fitting = {"keep": "last", "progress": False, "callbacks": [self], **fitting}
        self._thread = threading.Thread(target=self._fit, args=(model, split), daemon=True)
        self._thread.start()

    def _fit(self, model: Model, split: Split) -> None:
        self._go.acquire()
        try:
            if not self.ending:
                fit(model, split, **self._fitting)
        except _Ended:
            pass
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread that waits
            self.failure = failure
        self.over = True
        self._done.release()

    def epoch(self) -> dict[str, float] | None:
        """One epoch: seconds of training and of validation, and NDCG@10; `None` when all epochs are done."""
        if self.over:
            return None
        before = len(self.rows)
        self._go.release()
        self._done.acquire()
        if self.failure is not None:
            raise self.failure
        return self.rows[-1] if len(self.rows) > before else None

    def end(self) -> None:
        """Stop, and wait for the thread to end."""
        self.ending = True
        self._go.release()
        self._thread.join()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Wait for one's turn, but in the first epoch, whose turn it is already."""
        if epoch:
            self._done.release()
            self._go.acquire()
        if self.ending:
            raise _Ended
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Take the time: the last batch's is that of the epoch."""
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write down what `fit` has measured before it calls here."""
        self.rows.append(
            {
                "seconds": self._trained - self._began,
                "validation": time.perf_counter() - self._trained,
                "NDCG@10": (logs or {})["val_NDCG@10"],
            }
        )
