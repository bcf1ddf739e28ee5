"""Fitting: a thin, good default over Keras' `compile` and `fit`, that can stop at any moment and go on."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from imtlib.baselines.sequential import SequenceBaseline
from imtlib.data.atomic import whole
from imtlib.data.histories import EvaluationSet
from imtlib.data.inputs import Arrays
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import TRAIN, Split, digest
from imtlib.errors import ModelFileError
from imtlib.evaluation.ranking import evaluate
from imtlib.layers.backend import all_layers, signature
from imtlib.layers.item_fusion import FusedItems
from imtlib.model import InterestMigrationModel
from imtlib.training.augmentation import Augmentation
from imtlib.training.batches import TrainingBatches
from imtlib.training.modality_dropout import Hiding
from imtlib.types import IntArray

CHOSEN_BY = "NDCG@10"
WHOLE = 20_000
"""Items up to which the whole catalogue is scored at every position."""
DRAWN = 4096
"""Negatives a step in larger catalogues."""


@keras.saving.register_keras_serializable("imtlib")
class WarmCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises linearly over the warm-up and falls to zero along a cosine.

    Args:
        peak: the highest rate.
        warm_up, steps: lengths of the rise and of the whole, in steps.
    """

    def __init__(self, peak: float, warm_up: int, steps: int) -> None:
        self.peak, self.warm_up, self.steps = peak, warm_up, steps

    def __call__(self, step: Any) -> Any:
        """The rate at a step."""
        step = tf.cast(step, tf.float32)
        fall = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
        cosine = 0.5 * (1 + tf.cos(math.pi * tf.clip_by_value(fall, 0.0, 1.0)))
        return self.peak * tf.minimum((step + 1) / self.warm_up, cosine)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"peak": self.peak, "warm_up": self.warm_up, "steps": self.steps}


def fit(
    model: InterestMigrationModel | SequenceBaseline,
    split: Split,
    *,
    epochs: int = 20,
    batch: int = 64,
    window_length: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.01,
    patience: int | None = None,
    max_validation_requests: int = 10_000,
    negatives: int | None = None,
    augmentation: Augmentation | None = None,
    modality_dropout: float = 0.0,
    target_mask: NDArray[np.bool_] | None = None,
    bucket_by_length: bool = True,
    keep: str = "best",
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[dict[str, float]]:
    """Fit a model to `split.train`, and measure every epoch on `split.valid`.

    The rate warms up for one epoch and falls along a cosine. Windows, order and dropout masks depend on
    the seed and the epoch alone, so a run that was interrupted and goes on ends as one that was not.

    Memory holds the weights four times (gradients, and two means of AdamW), what `batch * window_length`
    positions leave behind for the gradients, and logits of at most `imtlib.losses.chunked_softmax.ROWS` of
    them at a time. For MovieLens-1M the process took 1.4 to 2.5 GB, of which TensorFlow and the log are one.

    Args:
        model: of the split's catalogue; changed in place.
        split: `train` to learn from, `valid` to measure epochs on (NDCG@10). `test` is not touched.
        epochs: passes, at most; in each, one window of every user.
        batch: users a step.
        window_length: events of a user that are learnt from in one epoch, at most: a window at a random
            place. Shorter windows of more users make quicker steps; scoring reads `model.max_length` events.
        learning_rate: the highest rate of AdamW.
        weight_decay: of AdamW; biases, norms and scores of single items are left out.
        patience: epochs without a better validation figure before it stops. By default it never does: the
            rate falls to zero, and the last epochs gain the most.
        max_validation_requests: on how many validation requests, at most, each epoch is measured; drawn by
            the seed. A thousand are too few to tell one epoch from the next.
        negatives: 0 for the softmax over the whole catalogue at every position; or how many items to draw for
            each step, from which the softmax is estimated (`imtlib.losses.sampled_softmax`). By default the
            whole catalogue up to `WHOLE` items, and `DRAWN` negatives beyond.
        augmentation: how the windows are changed (`imtlib.training.augmentation`); by default not at all.
        modality_dropout: share of the modalities of items that is hidden at each step
            (`imtlib.training.modality_dropout`), for a model that was made with several.
        target_mask: which events of `split.train` are to be predicted, bool `(events,)`; by default all. For
            a log that knows only the day, `imtlib.evaluation.protocols.untied_events` leaves out what has no
            order.
        bucket_by_length: whether users of like length share a batch, so that little is padding; or any users
            do, and each batch is more like the whole.
        keep: whose weights the model has in the end: those of the `"best"` epoch by the validation figure, or
            of the `"last"`, where no small validation set can choose wrongly.
        seed: of windows, order, negatives and dropout. The weights' own first values come from
            `keras.utils.set_random_seed`, called before the model is made.
        folder: where each epoch is kept; a run with the same folder and settings goes on from there.
        progress: whether to show a bar, with one line an epoch.
        callbacks: any Keras callbacks besides, such as `CSVLogger`, `TensorBoard` or those of an experiment
            tracker: they are handed `loss`, `val_HR@10` and `val_NDCG@10` after every epoch.

    Returns:
        One dictionary an epoch: `epoch`; `loss`, the joint loss of the training batches, nats; `HR@10` and
        `NDCG@10` on `split.valid`.

    Raises:
        ModelFileError: the folder holds a run with other settings, another model or another split.
        ValueError: there is no event to learn from, or none to choose by; a count is below 1; `window_length`
            is too short for the positions of a SASRec; `keep` is neither of the two; `target_mask` has
            another shape; `modality_dropout` is not from 0 to below 1, or there are no modalities to hide.
    """
    if keep not in ("best", "last"):
        raise ValueError(f"unknown keep={keep!r}: choose 'best' or 'last'")
    for name, count in {
        "epochs": epochs,
        "batch": batch,
        "window_length": window_length,
        "max_validation_requests": max_validation_requests,
    }.items():
        if count < 1:
            raise ValueError(f"{name}={count} must be 1 or more")
    if negatives is None:
        negatives = 0 if len(split.train.catalogue.items) <= WHOLE else DRAWN
    batches = TrainingBatches(
        split.train, batch, window_length, seed, negatives, augmentation, target_mask, bucket_by_length
    )
    if not len(batches) or not len(split.valid):
        raise ValueError("the split's train or valid part is empty: fitting needs both")
    _check_positions(model, split.train, window_length)
    steps = len(batches)
    optimizer = keras.optimizers.AdamW(
        WarmCosine(learning_rate, steps, steps * epochs), weight_decay=weight_decay, global_clipnorm=5.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "item_bias"])
    # Not compiled by XLA, which Keras would choose where there is a GPU: the whole softmax has a loop whose
    # length it cannot know.
    model.compile(optimizer=optimizer, jit_compile=False)
    optimizer.build(model.trainable_variables)
    settings = {
        **model.settings,
        "catalogue": model.catalogue.fingerprint,
        "split": split.hash,
        # Splits of one hash may teach other events: `imtlib.evaluation.ablations` takes some away.
        "events": digest(split.train, np.full(len(split.train), TRAIN, np.int8)),
        "epochs": epochs,
        "batch": batch,
        "window_length": window_length,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "max_validation_requests": max_validation_requests,
        "negatives": negatives,
        "augmentation": None if augmentation is None else asdict(augmentation),
        "seed": seed,
        "target_mask": None if target_mask is None else sha256(target_mask.tobytes()).hexdigest(),
        "bucket_by_length": bucket_by_length,
        # Which weights there are and which may change: an adapted model is another.
        "weights": sha256(str([(w.shape, w.trainable) for w in model.weights]).encode()).hexdigest(),
        **_modalities(model, modality_dropout),
    }
    hiding = _hiding(model, modality_dropout, seed)
    chosen = np.random.default_rng(seed).permutation(len(split.valid))[:max_validation_requests]
    valid = split.valid.take(np.sort(chosen))
    with tempfile.TemporaryDirectory() as own:
        run = _Run(model, valid, batches, Path(folder or own), settings, patience, progress)
        done = run.resume()
        if not run.finished(epochs):
            model.fit(
                _dataset(batches),
                initial_epoch=done,
                epochs=epochs,
                shuffle=False,
                verbose=0,
                callbacks=[run, *hiding, *callbacks],
            )
        if keep == "best":
            run.take_best()
    return run.history


def _check_positions(
    model: InterestMigrationModel | SequenceBaseline, log: BehaviourLog, window_length: int
) -> None:
    """Self-attention has an embedding for each position, and must learn all that it will score from."""
    read = min(model.max_length, int(log.lengths.max()) - 1)
    if (
        isinstance(model, SequenceBaseline)
        and model.settings["encoder"] == "sasrec"
        and read >= window_length
    ):
        raise ValueError(
            f"window_length={window_length} teaches {window_length - 1} positions, and scoring reads {read}: "
            f"fit with window_length={read + 1}, or make the model with max_length={window_length - 1}"
        )


def _fused(model: InterestMigrationModel | SequenceBaseline) -> FusedItems | None:
    return model.fused if isinstance(model, InterestMigrationModel) else None


def _modalities(model: InterestMigrationModel | SequenceBaseline, modality_dropout: float) -> dict[str, Any]:
    """What a run must have in common with the one that it goes on from; nothing where there is but the id."""
    fused = _fused(model)
    return {} if fused is None else {"modalities": fused.fingerprint(), "modality_dropout": modality_dropout}


def _hiding(
    model: InterestMigrationModel | SequenceBaseline, modality_dropout: float, seed: int
) -> list[Hiding]:
    if not 0 <= modality_dropout < 1:
        raise ValueError(f"modality_dropout={modality_dropout} is not from 0 to below 1")
    if not modality_dropout:
        return []
    fused = _fused(model)
    if fused is None:
        raise ValueError(
            f"modality_dropout={modality_dropout} has nothing to hide: make the model with "
            f"modalities=describe(…), or leave it out"
        )
    return [Hiding(fused, modality_dropout, seed)]


def _dataset(batches: TrainingBatches) -> tf.data.Dataset:
    def generate() -> Iterator[tuple[Arrays, IntArray]]:
        yield from batches

    example, target = next(iter(batches))
    data = tf.data.Dataset.from_generator(
        generate, output_signature=(signature(example), tf.TensorSpec((None, None), target.dtype))
    )
    # Nothing here is tuned, and at the end of each epoch the tuner keeps everything waiting, up to a minute.
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2).with_options(options)


class _Run(keras.callbacks.Callback):
    """Seeds each epoch, measures and keeps it, and stops when it no longer gets better."""

    def __init__(
        self,
        model: InterestMigrationModel | SequenceBaseline,
        valid: EvaluationSet,
        batches: TrainingBatches,
        folder: Path,
        settings: dict[str, Any],
        patience: int | None,
        progress: bool,
    ) -> None:
        super().__init__()
        self.subject, self.valid, self.batches = model, valid, batches
        self.folder, self.settings, self.patience, self.progress = folder, settings, patience, progress
        self.history: list[dict[str, float]] = []
        self.seconds, self.began = list[float](), 0.0
        self.bar = tqdm(disable=True)
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> int:
        """Take up what the folder holds; returns how many epochs are done."""
        record = self.folder / "run.json"
        if not record.exists():
            return 0
        kept = json.loads(record.read_text("utf8"))
        if kept["settings"] != json.loads(json.dumps(self.settings)):
            keys = {**kept["settings"], **self.settings}
            other = [key for key in keys if kept["settings"].get(key) != self.settings.get(key)]
            raise ModelFileError(f"{record} holds a run with other {', '.join(other)}: choose another folder")
        self.history, self.seconds = kept["history"], kept.get("seconds", [])
        last = len(self.history)
        self._assign(last, "optimizer", self.subject.optimizer.variables)
        self._assign(last, "weights", self.subject.weights)
        return last

    def _assign(self, epoch: int, part: str, variables: list[keras.Variable]) -> None:
        with np.load(self.folder / f"epoch-{epoch}.{part}.npz") as values:
            for place, variable in enumerate(variables):
                variable.assign(values[str(place)])

    def best(self) -> int:
        """The epoch, counted from 1, with the best validation figure; the first of equals."""
        return 1 + max(range(len(self.history)), key=lambda e: (self.history[e][CHOSEN_BY], -e))

    def finished(self, epochs: int) -> bool:
        """Whether all epochs are done, or the best lies `patience` epochs back."""
        done = len(self.history)
        waited = done - self.best() if done else 0
        return done >= epochs or (self.patience is not None and waited >= self.patience)

    def take_best(self) -> None:
        """Give the model the weights of the best epoch."""
        self._assign(self.best(), "weights", self.subject.weights)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Seed the windows, the order and every dropout mask of the epoch."""
        self.batches.epoch, self.began = epoch, time.perf_counter()
        for place, layer in enumerate(all_layers(self.subject)):
            if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
                rng = np.random.default_rng([self.batches.seed, epoch, place])
                layer.seed_generator.state.assign(rng.integers(0, 2**31, 2))
        self.bar = tqdm(total=len(self.batches), desc=f"epoch {epoch + 1}", disable=not self.progress)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar."""
        self.bar.update(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure, keep, and stop if it no longer gets better."""
        logs = {} if logs is None else logs
        report = evaluate(self.subject, self.valid)
        figures = {name: float(report[name]) for name in ("HR@10", CHOSEN_BY)}
        row = {"epoch": epoch + 1, "loss": float(logs["loss"]), **figures}
        # Keras hands one dictionary to all callbacks: those after this one log the figures too.
        logs |= {f"val_{name}": value for name, value in figures.items()}
        self.history.append(row)
        self.seconds.append(round(time.perf_counter() - self.began, 2))
        self.bar.set_postfix({name: f"{value:.4f}" for name, value in row.items() if name != "epoch"})
        self.bar.close()
        self._keep(epoch + 1)
        if self.finished(epochs=epoch + 2):
            self.subject.stop_training = True

    def _keep(self, epoch: int) -> None:
        # Not as Keras saves weights: that folds adapters into the matrices beside them, and cannot go on.
        for part, variables in (
            ("weights", self.subject.weights),
            ("optimizer", self.subject.optimizer.variables),
        ):
            values: dict[str, Any] = {str(place): np.asarray(value) for place, value in enumerate(variables)}
            np.savez(self.folder / f"epoch-{epoch}.{part}.npz", **values)
        # The record comes last and at one stroke: a run that is killed goes on from the epoch before.
        with whole(self.folder / "run.json") as fresh:
            record = {"settings": self.settings, "history": self.history, "seconds": self.seconds}
            fresh.write_text(json.dumps(record, indent=1), "utf8")
        for old in self.folder.glob("epoch-*"):
            if int(old.name.split(".")[0].split("-")[1]) not in (epoch, self.best()):
                old.unlink()
