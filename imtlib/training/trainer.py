"""Fitting: a thin, good default over Keras' `compile` and `fit`, that can stop at any moment and go on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imtlib.config import TrainingConfig, configured
from imtlib.data.splits import TRAIN, Split, digest
from imtlib.layers.backend import dataset, require_threads
from imtlib.training.batches import TrainingBatches
from imtlib.training.callbacks import MeasureEpoch, RefuseLostLoss, SeedEpoch
from imtlib.training.modality_dropout import hiding
from imtlib.training.run_folder import RunFolder
from imtlib.training.trainable import Trainable
from imtlib.types import BoolArray

WHOLE = 20_000
"""Items up to which the whole catalogue is scored at every position."""
DRAWN = 4096
"""Negatives a step in larger catalogues."""


def fit(
    model: Trainable,
    split: Split,
    *,
    config: TrainingConfig | None = None,
    target_mask: BoolArray | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **overrides: Any,
) -> list[dict[str, float]]:
    """Fit a model to `split.train`, and measure every epoch on `split.valid`.

    `fit(model, split, epochs=5, learning_rate=0.01)` says what differs from the defaults of
    `imtlib.config.TrainingConfig`, which has the meaning of each. The rate warms up for one epoch and falls
    along a cosine. Windows, order and dropout masks depend on the seed and the epoch alone, so a run that was
    interrupted and goes on ends as one that was not.

    Memory holds the weights four times (gradients, and two means of AdamW), what `batch * window_length`
    positions leave behind for the gradients, and logits of at most `imtlib.losses.chunked_softmax.ROWS` of
    them at a time. For MovieLens-1M the process took 1.4 to 2.5 GB, of which TensorFlow and the log are one.

    Args:
        model: an `InterestMigrationModel` or a `SequenceBaseline` of the split's catalogue; changed in place.
        split: `train` to learn from, `valid` to measure epochs on (NDCG@10). `test` is not touched.
        config: how to train; by default the defaults.
        target_mask: which events of `split.train` are to be predicted, bool `(events,)`; by default all. For
            a log that knows only the day, `imtlib.evaluation.protocols.untied_events` leaves out what has no
            order.
        folder: where each epoch is kept; a run with the same folder, model, split and configuration goes on
            from there.
        progress: whether Keras shows its bar, with one line an epoch.
        callbacks: any Keras callbacks besides, such as `CSVLogger`, `TensorBoard` or those of an experiment
            tracker: they are handed `loss`, `val_HR@10` and `val_NDCG@10` after every epoch.
        overrides: fields of `TrainingConfig` by name, in place of those of `config`.

    Returns:
        One dictionary an epoch: `epoch`; `loss`, the joint loss of the training batches, nats; `HR@10` and
        `NDCG@10` on `split.valid`.

    Raises:
        TypeError: the model cannot be trained, the split is none, or the configuration has no such field.
        ModelFileError: the model's catalogue is not the split's; or the folder holds a run with another
            configuration, model or split.
        ValueError: the configuration is out of range; there is no event to learn from, or none to choose by;
            `window_length` is too short for a model that learns positions; `target_mask` has another shape;
            or there are no modalities to hide. Whatever is refused, the model is left as it was.
        FloatingPointError: the loss is not finite at a step.
    """
    config = configured(TrainingConfig, config, overrides)
    _check(model, split, config)
    negatives = config.negatives
    if negatives is None:
        negatives = 0 if len(split.train.catalogue.items) <= WHOLE else DRAWN
    config = replace(config, negatives=negatives)
    batches = TrainingBatches(
        split.train,
        config.batch,
        config.window_length,
        config.seed,
        negatives,
        config.augmentation,
        target_mask,
        config.bucket_by_length,
    )
    if not len(batches):
        raise ValueError("target_mask leaves no event to predict: fitting needs some")
    hidden = hiding(model.fused, config.modality_dropout, config.seed)
    order = np.random.default_rng(config.seed).permutation(len(split.valid))
    valid = split.valid.take(np.sort(order[: config.max_validation_requests]))
    with tempfile.TemporaryDirectory() as own:
        run = RunFolder(Path(folder or own), _common(model, split, config, target_mask))
        optimizer = compile_for_training(model, config, len(batches))
        done = len(run.history)
        if done:
            run.restore(done, "weights", model.weights)
            run.restore(done, "optimizer", optimizer.variables)
        if not run.finished(config.epochs, config.patience):
            model.fit(
                dataset(batches, len(batches)),
                initial_epoch=done,
                epochs=config.epochs,
                shuffle=False,
                verbose="auto" if progress else 0,
                callbacks=[
                    SeedEpoch(batches),
                    MeasureEpoch(valid, run, config.patience, config.seen),
                    *hidden,
                    RefuseLostLoss(),
                    *callbacks,
                ],
            )
        if config.keep == "best":
            run.restore(run.best, "weights", model.weights)
    return run.history


def warm_cosine(peak: float, steps: int, epochs: int) -> keras.optimizers.schedules.CosineDecay:
    """Make a rate that rises for one epoch and falls to zero along a cosine.

    Args:
        peak: the highest rate.
        steps: of an epoch.
        epochs: how many in all.

    Returns:
        A schedule: the rate at a step, from `peak / steps` at the first.
    """
    return keras.optimizers.schedules.CosineDecay(
        peak / steps,
        decay_steps=max(steps * (epochs - 1), 1),
        warmup_target=peak,
        warmup_steps=steps,
    )


def compile_for_training(model: Trainable, config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    """Give a model its optimiser, AdamW at the rate of `warm_cosine`.

    Args:
        model: changed in place.
        config: how to train.
        steps: of an epoch.

    Returns:
        The optimiser, its variables made.
    """
    rate = warm_cosine(config.learning_rate, steps, config.epochs)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, global_clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "item_bias"])
    # Not compiled by XLA, which Keras would choose where there is a GPU: the whole softmax has a loop whose
    # length it cannot know.
    model.compile(optimizer=optimizer, jit_compile=False)
    optimizer.build(model.trainable_variables)
    return optimizer


def _check(model: Trainable, split: Split, config: TrainingConfig) -> None:
    """Refuse what cannot be trained, before anything is changed."""
    require_threads()
    if not isinstance(model, Trainable):
        raise TypeError(
            f"a {type(model).__name__} cannot be fitted: give an InterestMigrationModel or a SequenceBaseline"
        )
    if not isinstance(split, Split):
        raise TypeError(f"a {type(split).__name__} is no split: give leave_one_out(log) or time_split(log)")
    fix = "Make the model with for_log(split.train), or carry it over to this catalogue."
    model.catalogue.require_same(split.train.catalogue, "the model", "the split", fix)
    if not len(split.train) or not len(split.valid):
        raise ValueError("the split's train or valid part is empty: fitting needs both")
    # A position that was never trained must not be scored from.
    read = min(model.max_length, int(split.train.lengths.max()) - 1)
    window = config.window_length
    if model.learns_positions and read >= window:
        raise ValueError(
            f"window_length={window} trains {window - 1} positions, and scoring reads {read}: "
            f"fit with window_length={read + 1}, or make the model with max_length={window - 1}"
        )


def _common(
    model: Trainable, split: Split, config: TrainingConfig, target_mask: BoolArray | None
) -> dict[str, Any]:
    """What a run must have in common with the one that it goes on from."""
    # Keywords, since `dict` refuses one that is given twice: no field can hide another.
    return dict(
        **asdict(model.config),
        **asdict(config),
        catalogue=model.catalogue.fingerprint,
        split=split.hash,
        # Splits of one hash may hold other training events: `imtlib.evaluation.ablations` takes some away.
        events=digest(split.train, np.full(len(split.train), TRAIN, np.int8)),
        target_mask=None if target_mask is None else sha256(target_mask.tobytes()).hexdigest(),
        # Which weights there are and which may change: an adapted model is another.
        weights=sha256(str([(w.shape, w.trainable) for w in model.weights]).encode()).hexdigest(),
        modalities=None if model.fused is None else model.fused.fingerprint(),
    )
