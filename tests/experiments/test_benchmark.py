"""The benchmark's files: whole, reproducible, and left alone once they are there."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmark import machine, peak_memory, run, write
from experiments.recipes import ABLATIONS, MODELS, SPLITS, WAYS, common_matrix
from imtlib.analysis.interest_metrics import METRICS, WITH_INTERVAL
from imtlib.data.splits import leave_one_out
from imtlib.simulation.simulator import simulate
from imtlib.training.trainer import fit

SMALL = {"units": 16, "layers": 1}
CHOSEN = (
    "popularity",
    "recent-popularity",
    "gru",
    "sasrec-interests",
    "migration-shuffled",
    "small-reorder",
    "small-users-30",
    "untold",
    "each",
    "shared-gate-common-matrix",
)


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small simulated log in place of MovieLens, small models and two epochs."""
    log, _ = simulate(80, 40, 4, ("shop", "video"), events=10, seed=3)
    monkeypatch.setattr(benchmark, "load_dataset", lambda name: log)
    for recipes in (MODELS, ABLATIONS, WAYS):
        for name, recipe in recipes.items():
            if recipe.fitting is not None:
                settings = {**recipe.settings, **SMALL}
                fitting = {**recipe.fitting, "epochs": 1, "batch": 16}
                monkeypatch.setitem(recipes, name, replace(recipe, settings=settings, fitting=fitting))


@pytest.mark.parametrize("model", CHOSEN)
def test_every_model_gives_a_whole_result(model: str, small_world: None, tmp_path: Path) -> None:
    result = run("simulated", model, "leave-one-out", seed=0, folder=tmp_path / "run")
    path = tmp_path / "a" / "result.json"
    write(result, path)
    kept = json.loads(path.read_text("utf8"))
    assert kept == json.loads(json.dumps(result))
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]
    assert len(kept["rank"]) == len(kept["loss"]) == kept["requests"]["test"] == 80
    rank = np.array([np.inf if r is None else r for r in kept["rank"]], float)
    assert kept["test"]["HR@10"] == pytest.approx((rank <= 10).mean(), abs=1e-5)
    assert kept["test"]["log loss"] == pytest.approx(
        np.mean([x for x in kept["loss"] if x is not None]), abs=1e-4
    )
    low, high = kept["interval"]["NDCG@10"]
    assert low < kept["test"]["NDCG@10"] < high
    models = 2 if model == "each" else 1
    assert len(kept["history"]) == (0 if (MODELS | ABLATIONS | WAYS)[model].fitting is None else models)
    assert kept["peak memory, MB"] > 100
    fitting = (MODELS | ABLATIONS | WAYS)[model].fitting
    if fitting is not None:
        assert kept["fitting"]["window_length"] == fitting.get("window_length", 64)
        assert kept["fitting"]["weight_decay"] == fitting.get("weight_decay", 0.01)


@pytest.mark.parametrize("model", ["migration-shuffled", "direct", "gru"])
def test_interests_are_of_models_that_go_through_them(model: str, small_world: None, tmp_path: Path) -> None:
    found = run("simulated", model, "leave-one-out", seed=0, folder=tmp_path / "run")["interests"]
    assert (found is not None) == (model == "migration-shuffled")
    if found is not None:
        assert tuple(found) == METRICS
        for metric, figure in found.items():
            assert tuple(figure["by scenario"]) == ("shop", "video")
            if metric in WITH_INTERVAL:
                low, high = figure["interval"]
                assert low <= figure["pooled"] <= high
            else:
                assert figure["interval"] is None


@pytest.mark.parametrize(("split", "keeps"), [("leave-one-out", "last"), ("time", "best")])
def test_a_split_says_which_epoch_is_kept(
    split: str, keeps: str, small_world: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gru = MODELS["gru"]
    monkeypatch.setitem(
        MODELS, "gru", replace(gru, fitting={**gru.fitting, "epochs": 4, "learning_rate": 0.1})
    )
    result = run("simulated", "gru", split, 0, tmp_path)
    assert result["fitting"]["keep"] == keeps
    assert MODELS["gru"].fitting["keep"] == "last"
    figures = [row["NDCG@10"] for row in result["history"]]
    assert result["valid"]["NDCG@10"] == pytest.approx(
        max(figures) if keeps == "best" else figures[-1], abs=1e-5
    )


def test_minutes_are_those_of_all_epochs(small_world: None, tmp_path: Path) -> None:
    run("simulated", "gru", "leave-one-out", 0, tmp_path)
    kept = json.loads((tmp_path / "run.json").read_text("utf8"))
    kept["seconds"] = [120.0]
    (tmp_path / "run.json").write_text(json.dumps(kept), "utf8")
    again = run("simulated", "gru", "leave-one-out", 0, tmp_path)
    assert again["resumed after epoch"] == 1
    assert again["minutes"] == 2


def test_seeds_and_nothing_else_decide(small_world: None, tmp_path: Path) -> None:
    one, same, other = (
        run("simulated", "migration-learnt", "time", seed, tmp_path / name)
        for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    )
    assert one["rank"] == same["rank"]
    assert one["history"] == same["history"]
    assert one["rank"] != other["rank"]
    assert one["hash"] == other["hash"]


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "movielens-1m" / "leave-one-out" / "popularity-seed0.json"
    write({"mine": 1}, path)
    command = [sys.executable, "-m", "experiments.benchmark", "movielens-1m", "--model", "popularity"]
    command += ["--split", "leave-one-out", "--results", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "is there already" in said.stdout
    assert json.loads(path.read_text("utf8")) == {"mine": 1}


def test_machine_and_memory_are_stated() -> None:
    about = machine()
    assert about["processor"]
    assert about["threads"] >= 1
    assert 50 < peak_memory() < 1_000_000
    assert set(SPLITS) == {"leave-one-out", "time"}


def test_scenarios_with_a_common_matrix_have_nothing_of_their_own_in_it() -> None:
    log, _ = simulate(60, 30, 4, ("shop", "video"), events=8, seed=3)
    split = leave_one_out(log)
    model = common_matrix(split.train, units=8, heads=2)
    fit(model, split, epochs=1, batch=16, max_validation_requests=5, progress=False)
    assert not np.any(model.migration_matrix.by_scenario)
    assert np.any(model.migration_matrix.common)
