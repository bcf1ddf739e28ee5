"""What the benchmark runs: splits, models and ablations by name, each with its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from imtlib.baselines.counting import Popularity, RecentPopularity, SmoothedTransitions, Transitions
from imtlib.baselines.sequential import SequenceBaseline
from imtlib.config import Augmentation
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split, leave_one_out, time_split
from imtlib.evaluation.ablations import (
    interests_from_behaviour,
    shuffled_interests,
    with_interests,
    without_scenarios,
)
from imtlib.evaluation.ranking import Scorer
from imtlib.model import InterestMigrationModel
from imtlib.training.per_scenario import each_for_log, fit_each
from imtlib.training.trainer import fit

SPLITS: dict[str, Callable[[BehaviourLog], Split]] = {
    "leave-one-out": leave_one_out,
    "time": lambda log: time_split(log, 0.9),
}
"""By name. The time split tests on what came after nine tenths of all events."""
FITTED_BY_SPLIT: dict[str, dict[str, Any]] = {
    "leave-one-out": {},
    # What is asked about is later than all lessons, and a model that is trained on foretells it worse: the
    # validation requests, which are later too, say when to stop.
    "time": {"keep": "best"},
}
"""What of `Recipe.fitting` is otherwise on a split, whatever the model."""


def _as_given(split: Split, seed: int) -> Split:
    return split


def _shuffled(split: Split, seed: int) -> Split:
    return with_interests(split, shuffled_interests(split.train.catalogue, seed))


def _untold(split: Split, seed: int) -> Split:
    return without_scenarios(split)


def _from_behaviour(split: Split, seed: int) -> Split:
    return with_interests(split, interests_from_behaviour(split.train, seed))


@dataclass(frozen=True)
class Recipe:
    """How a model of the benchmark is made.

    Attributes:
        make: gives the model for a training log.
        settings: arguments of `make`.
        fitting: arguments of `fit`; `None` for what only counts.
        prepare: what is done to the split first, with the seed.
        fit: what fits it, `imtlib.training.trainer.fit` or one that is called like it.
    """

    make: Callable[..., Scorer]
    settings: Mapping[str, Any] = field(default_factory=dict)
    fitting: Mapping[str, Any] | None = None
    prepare: Callable[[Split, int], Split] = _as_given
    fit: Callable[..., list[dict[str, float]]] = fit


OURS = {"units": 148, "layers": 2, "dropout": 0.3}
SEES: dict[str, Any] = {"rank": 24, "matrix_from_state": True}
# Small batches, so that twenty epochs are many steps. The last epoch is kept: chosen by a thousand requests,
# one of the middle was taken for the best.
FITTED: dict[str, Any] = {
    "epochs": 20,
    "batch": 16,
    "learning_rate": 0.002,
    "keep": "last",
    "max_validation_requests": 1000,
}
LONGER = {**FITTED, "epochs": 40}
# As many steps and lessons as the longer ones.
LONG_WINDOWS = {**FITTED, "window_length": 200, "batch": 8}
LONG_WINDOWS_DECAY = {**LONG_WINDOWS, "weight_decay": 0.3}
PUBLISHED_SASREC = {"encoder": "sasrec", "units": 64, "layers": 2, "heads": 1, "dropout": 0.1}
# As published: little dropout, no decay, large batches of any users, up to a hundred epochs, the best by the
# validation requests. Windows of 201 events have 200 to be read: each position is learnt.
LONG: dict[str, Any] = {
    "epochs": 100,
    "batch": 128,
    "window_length": 201,
    "learning_rate": 0.001,
    "weight_decay": 0.0,
    "bucket_by_length": False,
    "keep": "best",
    "max_validation_requests": 10_000,
}


def _ours(
    prepare: Callable[[Split, int], Split] = _as_given,
    fitting: Mapping[str, Any] = MappingProxyType(FITTED),
    **settings: Any,
) -> Recipe:
    return Recipe(InterestMigrationModel.for_log, {**OURS, **SEES, **settings}, fitting, prepare)


def _baseline(fitting: Mapping[str, Any], **settings: Any) -> Recipe:
    return Recipe(SequenceBaseline.for_log, settings, fitting)


MODELS = {
    "popularity": Recipe(Popularity),
    "recent-popularity": Recipe(RecentPopularity),
    "transitions": Recipe(Transitions),
    "smoothed-transitions": Recipe(SmoothedTransitions),
    "gru": _baseline(FITTED, encoder="gru", **OURS),
    "gru-long-windows-decay": _baseline(LONG_WINDOWS_DECAY, encoder="gru", **OURS),
    "sasrec": _baseline(LONG, **PUBLISHED_SASREC),
    # As wide as ours, with its dropout, and trained as our best: it reads 200 events of windows of 201.
    "sasrec-long-windows-decay": _baseline(
        {**LONG_WINDOWS_DECAY, "window_length": 201}, encoder="sasrec", heads=1, **OURS
    ),
    "sasrec-interests": _baseline(LONG, **PUBLISHED_SASREC, given_interests=True),
    "direct": _ours(through_interests=False),
    "direct-decay": _ours(fitting={**FITTED, "weight_decay": 0.5}, through_interests=False),
    "direct-long-windows-decay": _ours(fitting=LONG_WINDOWS_DECAY, through_interests=False),
    "migration": _ours(),
    "migration-longer": _ours(fitting=LONGER),
    "migration-long-windows": _ours(fitting=LONG_WINDOWS),
    "migration-long-windows-decay": _ours(fitting=LONG_WINDOWS_DECAY),
    "migration-no-attention": _ours(attention="none"),
    "migration-one-layer": _ours(layers=1),
    "migration-64-wide": _ours(units=64),
    # Without dropout the films are soon learnt by heart: the best epoch is kept, by all validation requests.
    "migration-no-dropout": _ours(
        fitting={**FITTED, "keep": "best", "max_validation_requests": 10_000}, dropout=0.0
    ),
    "migration-decay-0.1": _ours(fitting={**FITTED, "weight_decay": 0.1}),
    "migration-decay-0.5": _ours(fitting={**FITTED, "weight_decay": 0.5}),
    "migration-any-lengths": _ours(fitting={**FITTED, "bucket_by_length": False}),
    "migration-one-task": _ours(interest_loss_weight=0.0),
    "migration-bfloat16": _ours(precision="bfloat16"),
    "migration-context": _ours(rank=8, matrix_from_state=False),
    "migration-request-time": _ours(use_request_time=True),
    "migration-request-time-longer": _ours(fitting=LONGER, use_request_time=True),
    "migration-shuffled": _ours(_shuffled),
    "migration-learnt": _ours(_from_behaviour),
}
"""The models of the benchmark, by the name that `--model` takes."""


def _fewer_users(share: float) -> Callable[[Split, int], Split]:
    """Learn from a share of the users alone; the requests stay those of all."""

    def prepare(split: Split, seed: int) -> Split:
        chosen = np.random.default_rng(seed).random(len(split.train.users)) < share
        return replace(split, train=split.train.filter(chosen[split.train.user]))

    return prepare


def _small(
    prepare: Callable[[Split, int], Split] = _as_given,
    fitting: Mapping[str, Any] = MappingProxyType({}),
    **settings: Any,
) -> Recipe:
    small = {"units": 48, "heads": 2, "attention": "state", "dropout": 0.2, **settings}
    fitted = {
        "epochs": 12,
        "batch": 16,
        "learning_rate": 0.01,
        "keep": "last",
        "max_validation_requests": 200,
        **fitting,
    }
    return Recipe(InterestMigrationModel.for_log, small, fitted, prepare)


ABLATIONS = {
    "small": _small(),
    "small-direct": _small(through_interests=False),
    "small-shuffled": _small(_shuffled),
    "small-no-attention": _small(attention="none"),
    "small-constant-query": _small(attention="constant"),
    "small-self-attention": _small(attention="self"),
    "small-lstm": _small(cell="lstm"),
    "small-one-task": _small(interest_loss_weight=0.0),
    "small-no-dropout": _small(dropout=0.0),
    "small-no-dropout-best": _small(fitting={"keep": "best", "max_validation_requests": 1000}, dropout=0.0),
    "small-no-decay": _small(fitting={"weight_decay": 0.0}),
    **{f"small-decay-{decay:g}": _small(fitting={"weight_decay": decay}) for decay in (0.1, 0.3, 1.0, 3.0)},
    "small-any-lengths": _small(fitting={"bucket_by_length": False}),
    "small-crop-8": _small(fitting={"window_length": 8}),
    # As many lessons as in twelve epochs of windows of 64.
    "small-crop-8-longer": _small(fitting={"window_length": 8, "epochs": 56}),
    "small-leave-out": _small(fitting={"augmentation": Augmentation(leave_out=0.1)}),
    "small-substitute": _small(fitting={"augmentation": Augmentation(substitute=0.1)}),
    "small-mask": _small(fitting={"augmentation": Augmentation(mask=0.1)}),
    "small-reorder": _small(fitting={"augmentation": Augmentation(reorder=0.5)}),
    "small-sampled": _small(fitting={"negatives": 256}),
    # Fewer users make shorter epochs, so there are more; the best is kept, before all is learnt by heart.
    "small-users-10": _small(
        _fewer_users(0.1), {"epochs": 60, "keep": "best", "max_validation_requests": 1000}
    ),
    "small-users-30": _small(
        _fewer_users(0.3), {"epochs": 30, "keep": "best", "max_validation_requests": 1000}
    ),
}
"""A small model, and the same with one thing changed: what each part buys."""


def _way(prepare: Callable[[Split, int], Split] = _as_given, **settings: Any) -> Recipe:
    # These logs are soon learnt by heart, most of all one scenario of them: few epochs, the best is kept.
    return _small(prepare, {"epochs": 6, "keep": "best", "max_validation_requests": 1000}, **settings)


def common_matrix(log: BehaviourLog, **settings: Any) -> InterestMigrationModel:
    """A model whose scenarios have one matrix A in common and no $B^{s}$ of their own: it stays at zero."""
    model = InterestMigrationModel.for_log(log, **settings)
    model.migration_matrix.by_scenario.trainable = False
    return model


WAYS = {
    "each": replace(_way(), make=each_for_log, fit=fit_each),
    "untold": _way(_untold),
    "shared": _way(),
    "shared-gate-common-matrix": replace(_way(sharing="gate"), make=common_matrix),
    "shared-gate": _way(sharing="gate"),
    "shared-star": _way(sharing="star"),
}
"""Ways to serve several scenarios: one model each, one that is told no scenario, and four that share."""
