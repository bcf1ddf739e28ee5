"""One model for each scenario, made and fitted as if it were one: what sharing is measured against."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split
from imtlib.evaluation.per_scenario import PerScenarioModel, only_scenario
from imtlib.model import InterestMigrationModel
from imtlib.training.trainer import fit


def each_for_log(log: BehaviourLog, **settings: Any) -> PerScenarioModel:
    """Make fresh models, one for each scenario of a log.

    Args:
        log: what the models are made for.
        settings: of each: fields of `imtlib.config.ModelConfig`.
    """
    return PerScenarioModel(
        {name: InterestMigrationModel.for_log(log, **settings) for name in log.catalogue.scenarios}
    )


def fit_each(
    models: PerScenarioModel, split: Split, *, folder: str | os.PathLike[str], **fitting: Any
) -> list[dict[str, float]]:
    """Fit each model to its scenario's share of a split, one after another.

    Args:
        models: as `each_for_log` gives them; changed in place.
        split: of the log that they are for.
        folder: where epochs are kept, a folder in it for each scenario.
        fitting: further arguments of `imtlib.training.trainer.fit`.

    Returns:
        What `fit` returned of all, behind one another; each row has `scenario`, its code, besides.

    Raises:
        LogError: no training event took place in a scenario.
        ValueError: a scenario has no request in the validation part.
    """
    history: list[dict[str, float]] = []
    for code, model in models.models.items():
        own = only_scenario(split, split.train.catalogue.scenarios[code])
        rows = fit(model, own, folder=Path(folder) / str(code), **fitting)
        history += [{"scenario": code, **row} for row in rows]
    return history
