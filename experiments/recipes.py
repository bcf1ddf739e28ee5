"""Recipes: splits, models and ablations by name, each with how it is made and trained."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

import imtlib as imt
from experiments.record import Result
from imtlib.config import Augmentation, TrainingConfig
from imtlib.data.splits import Split
from imtlib.evaluation import ablations
from imtlib.training.per_scenario import each_for_log, fit_each

Prepare = Callable[[Split, int], Split]
TRAINING = {field.name for field in fields(TrainingConfig)}


@dataclass(frozen=True)
class Recipe:
    """How a model is made and trained.

    Attributes:
        make: gives the model for a training log.
        settings: arguments of `make`.
        training: how it is trained; `None` for what only counts.
        prepare: what is done to the split first, with the seed.
        begin: what is done to the fresh model, with the training log.
        fit: what fits it, `imtlib.fit` or one that is called like it.
    """

    make: Callable[..., Any] = imt.InterestMigrationModel.for_log
    settings: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingConfig | None = None
    prepare: Prepare = lambda split, seed: split
    begin: Callable[[Any, imt.BehaviourLog], None] = lambda model, log: None
    fit: Callable[..., list[dict[str, float]]] = imt.fit

    def changed(self, **what: Any) -> Recipe:
        """Give the same recipe with some fields of its training, if it has one, or settings changed."""
        training = self.training and replace(self.training, **{k: what[k] for k in what.keys() & TRAINING})
        settings = {k: what[k] for k in what if k not in TRAINING}
        return replace(self, training=training, settings={**self.settings, **settings})

    def train(self, split: Split, seed: int, folder: Path, **more: Any) -> tuple[Any, Result]:
        """Make a model and fit it, with further arguments of `fit`; a run that was interrupted goes on.

        Returns:
            The model; and, for the result file, its settings, those of its training, what it took, and what
            each epoch reached.
        """
        keras.utils.set_random_seed(seed)
        resumed = sum(len(record["history"]) for record in _records(folder))
        began, used = time.monotonic(), time.process_time()
        model = self.make(split.train, **self.settings)
        self.begin(model, split.train)
        history: list[dict[str, float]] = []
        if self.training is not None:
            config = replace(self.training, seed=seed)
            history = self.fit(model, split, config=config, folder=folder, **more)
        seconds, processor = time.monotonic() - began, time.process_time() - used
        if resumed:
            seconds = sum(sum(record.get("seconds", ())) for record in _records(folder))
        return model, {
            "settings": asdict(model.config) if hasattr(model, "config") else dict(self.settings),
            "fitting": self.training and asdict(self.training),
            "resumed after epoch": resumed,
            "minutes": round(seconds / 60, 2),
            "processor minutes": round(processor / 60, 2),
            "history": history,
        }


def _records(folder: Path) -> list[Result]:
    """What `fit` keeps of its epochs in a folder, or of several models in folders within."""
    return [json.loads(record.read_text("utf8")) for record in sorted(folder.rglob("run.json"))]


SPLITS: dict[str, Callable[[imt.BehaviourLog], Split]] = {
    "leave-one-out": imt.leave_one_out,
    "time": lambda log: imt.time_split(log, 0.9),
}
"""By name. The time split tests on what came after nine tenths of all events."""


def _shuffled(split: Split, seed: int) -> Split:
    return ablations.with_interests(split, ablations.shuffled_interests(split.train.catalogue, seed))


def _from_behaviour(split: Split, seed: int) -> Split:
    return ablations.with_interests(split, ablations.interests_from_behaviour(split.train, seed))


def _fewer_users(share: float) -> Prepare:
    """Learn from a share of the users alone; the requests stay those of all."""

    def prepare(split: Split, seed: int) -> Split:
        chosen = np.random.default_rng(seed).random(len(split.train.users)) < share
        return replace(split, train=split.train.filter(chosen[split.train.user]))

    return prepare


# Small batches, so that twenty epochs are many steps. The last epoch is kept: chosen by a thousand requests,
# one of the middle was taken for the best.
LAST = TrainingConfig(keep="last", max_validation_requests=1000)
FITTED = replace(LAST, epochs=20, batch=16, learning_rate=0.002)
# As many steps and training targets as twice the epochs.
LONG_WINDOWS = {"window_length": 200, "batch": 8}
LONG_WINDOWS_DECAY = {**LONG_WINDOWS, "weight_decay": 0.3}
WIDE = {"units": 148, "layers": 2, "dropout": 0.3}
OURS = Recipe(settings={**WIDE, "rank": 24, "matrix_from_state": True}, training=FITTED)
GRU = Recipe(imt.SequenceBaseline.for_log, {"encoder": "gru", **WIDE}, FITTED)
# As published: little dropout, no decay, large batches of any users, up to a hundred epochs, the best by the
# validation requests. Windows of 201 events have 200 to be read: each position is learnt.
PUBLISHED = TrainingConfig(
    epochs=100, batch=128, window_length=201, learning_rate=0.001, weight_decay=0.0, bucket_by_length=False
)
SASREC = Recipe(
    imt.SequenceBaseline.for_log,
    {"encoder": "sasrec", "units": 64, "layers": 2, "heads": 1, "dropout": 0.1},
    PUBLISHED,
)
DIRECT, AFTER_TIME = OURS.changed(through_interests=False), OURS.changed(use_request_time=True)
FLOORS = {"popularity": Recipe(imt.Popularity), "smoothed-transitions": Recipe(imt.SmoothedTransitions)}
"""What learns nothing but counts."""
MODELS = {
    **FLOORS,
    "recent-popularity": Recipe(imt.RecentPopularity),
    "transitions": Recipe(imt.Transitions),
    "gru": GRU,
    "sasrec": SASREC,
    # As wide as ours, with its dropout, and trained as our best: it reads 200 events of windows of 201.
    "sasrec-long-windows-decay": GRU.changed(
        encoder="sasrec", heads=1, **{**LONG_WINDOWS_DECAY, "window_length": 201}
    ),
    "sasrec-interests": SASREC.changed(given_interests=True),
    "direct": DIRECT,
    "direct-decay": DIRECT.changed(weight_decay=0.5),
    "direct-long-windows-decay": DIRECT.changed(**LONG_WINDOWS_DECAY),
    "migration": OURS,
    "migration-longer": OURS.changed(epochs=40),
    "migration-long-windows": OURS.changed(**LONG_WINDOWS),
    "migration-long-windows-decay": OURS.changed(**LONG_WINDOWS_DECAY),
    "migration-no-attention": OURS.changed(attention="none"),
    "migration-one-layer": OURS.changed(layers=1),
    "migration-64-wide": OURS.changed(units=64),
    # Without dropout the films are soon overfitted: the best epoch is kept, by all validation requests.
    "migration-no-dropout": OURS.changed(keep="best", max_validation_requests=10_000, dropout=0.0),
    "migration-decay-0.1": OURS.changed(weight_decay=0.1),
    "migration-decay-0.5": OURS.changed(weight_decay=0.5),
    "migration-any-lengths": OURS.changed(bucket_by_length=False),
    "migration-one-task": OURS.changed(interest_loss_weight=0.0),
    "migration-bfloat16": OURS.changed(precision="bfloat16"),
    "migration-context": OURS.changed(rank=8, matrix_from_state=False),
    "migration-request-time": AFTER_TIME,
    "migration-request-time-longer": AFTER_TIME.changed(epochs=40),
    "migration-shuffled": replace(OURS, prepare=_shuffled),
    "migration-learnt": replace(OURS, prepare=_from_behaviour),
}
"""The models of the benchmark, which are run if none is named."""

SMALL = Recipe(
    settings={"units": 48, "heads": 2, "attention": "state", "dropout": 0.2},
    training=replace(LAST, epochs=12, batch=16, learning_rate=0.01, max_validation_requests=200),
)
SMALL_BEST = SMALL.changed(keep="best", max_validation_requests=1000)
ABLATIONS = {
    "small": SMALL,
    "small-direct": SMALL.changed(through_interests=False),
    "small-shuffled": replace(SMALL, prepare=_shuffled),
    "small-no-attention": SMALL.changed(attention="none"),
    "small-constant-query": SMALL.changed(attention="constant"),
    "small-self-attention": SMALL.changed(attention="self"),
    "small-lstm": SMALL.changed(cell="lstm"),
    "small-one-task": SMALL.changed(interest_loss_weight=0.0),
    "small-no-dropout": SMALL.changed(dropout=0.0),
    "small-no-dropout-best": SMALL_BEST.changed(dropout=0.0),
    "small-no-decay": SMALL.changed(weight_decay=0.0),
    **{f"small-decay-{decay:g}": SMALL.changed(weight_decay=decay) for decay in (0.1, 0.3, 1.0, 3.0)},
    "small-any-lengths": SMALL.changed(bucket_by_length=False),
    "small-crop-8": SMALL.changed(window_length=8),
    # As many training targets as in twelve epochs of windows of 64.
    "small-crop-8-longer": SMALL.changed(window_length=8, epochs=56),
    "small-leave-out": SMALL.changed(augmentation=Augmentation(leave_out=0.1)),
    "small-substitute": SMALL.changed(augmentation=Augmentation(substitute=0.1)),
    "small-mask": SMALL.changed(augmentation=Augmentation(mask=0.1)),
    "small-reorder": SMALL.changed(augmentation=Augmentation(reorder=0.5)),
    "small-sampled": SMALL.changed(negatives=256),
    # Fewer users make shorter epochs, so there are more; the best is kept, before all is overfitted.
    "small-users-10": replace(SMALL_BEST.changed(epochs=60), prepare=_fewer_users(0.1)),
    "small-users-30": replace(SMALL_BEST.changed(epochs=30), prepare=_fewer_users(0.3)),
}
"""A small model, and the same with one thing changed: what each part buys."""


def common_matrix(log: imt.BehaviourLog, **settings: Any) -> imt.InterestMigrationModel:
    """Make a model whose scenarios have one matrix A in common: the own $B^{s}$ of each stays at zero."""
    model = imt.InterestMigrationModel.for_log(log, **settings)
    model.migration_matrix.by_scenario.trainable = False
    return model


# These logs are soon overfitted, most of all one scenario of them: few epochs, the best is kept.
SHARED = SMALL_BEST.changed(epochs=6)
WAYS = {
    "each": replace(SHARED, make=each_for_log, fit=fit_each),
    "untold": replace(SHARED, prepare=lambda split, seed: ablations.without_scenarios(split)),
    "shared": SHARED,
    "shared-gate-common-matrix": replace(SHARED.changed(sharing="gate"), make=common_matrix),
    "shared-gate": SHARED.changed(sharing="gate"),
    "shared-star": SHARED.changed(sharing="star"),
}
"""Ways to serve several scenarios: one model each, one that is told no scenario, and four that share."""
_FOLLOWERS = Recipe(settings=WIDE, training=LAST)
FOLLOWERS = {
    "migration": _FOLLOWERS,
    "migration-successors": _FOLLOWERS.changed(rank=24, matrix_from_state=True, successors=True),
}
"""Two runs of an earlier recipe: larger batches, a higher rate."""
RECIPES = {**FOLLOWERS, **MODELS, **ABLATIONS, **WAYS}
