"""One model for each scenario: each learns from its own, and they answer as one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imtlib.data.splits import Split, leave_one_out
from imtlib.evaluation.per_scenario import PerScenarioModel, only_scenario
from imtlib.simulation.simulator import simulate
from imtlib.training.per_scenario import each_for_log, fit_each

NAMES = ("shop", "video")


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(simulate(60, 40, 4, NAMES, events=10, seed=3)[0])


@pytest.mark.usefixtures("eagerly")
def test_each_model_learns_from_its_scenario_and_from_no_other(split: Split, tmp_path: Path) -> None:
    models = each_for_log(split.train, units=8, heads=1, layers=1, attention="none")
    assert isinstance(models, PerScenarioModel)
    before = {code: model.get_weights() for code, model in models.models.items()}
    history = fit_each(models, split, folder=tmp_path, epochs=1, batch=16, seed=0, progress=False)
    assert [(row["scenario"], row["epoch"]) for row in history] == [(0, 1), (1, 1)]
    for code, model in models.models.items():
        change = [np.abs(now - was).max() for now, was in zip(model.get_weights(), before[code], strict=True)]
        assert max(change) > 1e-4
        kept = json.loads((tmp_path / str(code) / "run.json").read_text("utf8"))
        assert kept["settings"]["split"] == only_scenario(split, NAMES[code]).hash
