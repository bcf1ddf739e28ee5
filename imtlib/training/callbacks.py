"""Keras callbacks of a run: seeds for each epoch, its figures, and a stop where the loss is lost."""

from __future__ import annotations

import math
import time
from typing import Any

import keras
import numpy as np

from imtlib.data.histories import EvaluationSet
from imtlib.evaluation.ranking import evaluate
from imtlib.layers.backend import all_layers
from imtlib.training.batches import TrainingBatches
from imtlib.training.run_folder import CHOSEN_BY, RunFolder

Logs = dict[str, float] | None


class SeedEpoch(keras.callbacks.Callback):
    """Seed windows, order and every dropout mask by the seed and the epoch alone.

    Args:
        batches: of the run; they hold the seed.
    """

    def __init__(self, batches: TrainingBatches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Seed."""
        self.batches.epoch = epoch
        for place, layer in enumerate(all_layers(self.model)):
            if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
                rng = np.random.default_rng([self.batches.seed, epoch, place])
                layer.seed_generator.state.assign(rng.integers(0, 2**31, 2))


class RefuseLostLoss(keras.callbacks.Callback):
    """End a run whose loss is no longer a number; Keras' own callback would end it without an error."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the loss.

        Raises:
            FloatingPointError: it is not finite.
        """
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} at step {batch + 1} of epoch {self.epoch + 1}: lower the learning rate"
            )


class MeasureEpoch(keras.callbacks.Callback):
    """Measure and keep each epoch, and stop when it no longer gets better.

    Args:
        valid: what is measured on.
        folder: of the run.
        patience: epochs without a better figure before it stops; none if it never does.
        seen: whether items of the history are ranked too.
    """

    def __init__(self, valid: EvaluationSet, folder: RunFolder, patience: int | None, seen: bool) -> None:
        super().__init__()
        self.valid, self.folder, self.patience, self.seen = valid, folder, patience, seen
        self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the time."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Measure, keep, and stop if it no longer gets better."""
        logs = {} if logs is None else logs
        model: Any = self.model
        report = evaluate(model, self.valid, seen=self.seen)
        figures = {name: float(report[name]) for name in ("HR@10", CHOSEN_BY)}
        row = {"epoch": epoch + 1, "loss": float(logs["loss"]), **figures}
        # Keras hands one dictionary to all callbacks: those after this one show and log the figures too.
        logs |= {f"val_{name}": value for name, value in figures.items()}
        seconds = round(time.perf_counter() - self.began, 2)
        self.folder.keep(row, seconds, model.weights, model.optimizer.variables)
        if self.folder.finished(epoch + 2, self.patience):
            model.stop_training = True
