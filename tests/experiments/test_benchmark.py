"""The benchmark: whole results, decided by the seed, with the epoch that the split asks for."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imtlib as imt
from experiments import benchmark
from experiments.recipes import OURS, RECIPES, SHARED, SMALL, Recipe, common_matrix
from imtlib.analysis.interest_metrics import METRICS, WITH_INTERVAL

Run = Callable[..., dict[str, Any]]
KINDS = ("popularity", "gru", "migration-shuffled", "each")


def tiny(recipe: Recipe, epochs: int = 1) -> Recipe:
    """The same, but small and soon trained."""
    return recipe.changed(epochs=epochs, batch=32, units=8, heads=2, layers=1)


@pytest.fixture(scope="module")
def toy(small_log: imt.BehaviourLog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run by its model, seed and split, made once: a small log in place of MovieLens, tiny models."""
    folder = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imt, "load_dataset", lambda name: small_log)
        for name in KINDS[1:]:
            patch.setitem(RECIPES, name, tiny(RECIPES[name], epochs=2 if name == "gru" else 1))

        @functools.cache
        def run(model: str, seed: int = 0, split: str = "leave-one-out", place: str = "run") -> Any:
            return benchmark.run("simulated", model, split, seed, folder / place / model / split / str(seed))

        run.folder = folder  # type: ignore[attr-defined]
        yield run


@pytest.mark.parametrize("model", KINDS)
def test_every_kind_of_model_gives_a_whole_result(model: str, toy: Run) -> None:
    kept = json.loads(json.dumps(toy(model), allow_nan=False))
    assert len(kept["rank"]) == len(kept["loss"]) == kept["requests"]["test"] == 48
    rank = np.array([np.inf if r is None else r for r in kept["rank"]], float)
    assert kept["test"]["HR@10"] == pytest.approx((rank <= 10).mean(), abs=1e-5)
    losses = [loss for loss in kept["loss"] if loss is not None]
    assert kept["test"]["log loss"] == pytest.approx(np.mean(losses), abs=1e-4)
    low, high = kept["interval"]["NDCG@10"]
    assert low < kept["test"]["NDCG@10"] < high
    assert len(kept["history"]) == {"popularity": 0, "gru": 2, "migration-shuffled": 1, "each": 5}[model]
    if model == "popularity":
        assert kept["fitting"] is None
    else:
        assert kept["fitting"]["window_length"] == 64
        assert kept["settings"]["units"] == 8


@pytest.mark.parametrize("model", ["popularity", "gru", "migration-shuffled"])
def test_interests_are_of_models_that_go_through_them(model: str, toy: Run) -> None:
    found = toy(model)["interests"]
    assert (found is not None) == (model == "migration-shuffled")
    for metric, figure in (found or {}).items():
        assert metric in METRICS
        assert len(figure["by scenario"]) == 5
        assert (figure["interval"] is not None) == (metric in WITH_INTERVAL)
        low, high = figure["interval"] or (figure["pooled"], figure["pooled"])
        assert low <= figure["pooled"] <= high


def test_later_requests_ask_for_the_best_epoch(toy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # So large steps that the first epoch is the best.
    monkeypatch.setitem(RECIPES, "steep", RECIPES["gru"].changed(epochs=3, learning_rate=0.3))
    for split, keep in (("leave-one-out", "last"), ("time", "best")):
        found = toy("steep", split=split)
        figures = [row["NDCG@10"] for row in found["history"]]
        assert found["fitting"]["keep"] == keep
        wanted = max(figures) if keep == "best" else figures[-1]
        assert found["valid"]["NDCG@10"] == pytest.approx(wanted, abs=1e-5)


def test_minutes_are_those_of_all_epochs(toy: Run) -> None:
    first, folder = toy("gru"), toy.folder / "run" / "gru" / "leave-one-out" / "0"  # type: ignore[attr-defined]
    record = folder / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text("utf8")), "seconds": [60.0, 120.0]}), "utf8")
    again = benchmark.run("simulated", "gru", "leave-one-out", 0, folder)
    assert (again["resumed after epoch"], again["minutes"]) == (2, 3)
    assert again["rank"] == first["rank"]


def test_seeds_and_nothing_else_decide(toy: Run) -> None:
    one, same, other = toy("gru"), toy("gru", place="again"), toy("gru", seed=1)
    assert one["rank"] == same["rank"]
    assert one["history"] == same["history"]
    assert one["rank"] != other["rank"]
    assert one["hash"] == other["hash"]


def test_preparations_change_what_is_learnt_from_alone(small_split: Any) -> None:
    fewer = RECIPES["small-users-30"].prepare(small_split, 0)
    assert 0 < (fewer.train.lengths > 0).sum() < 0.6 * len(small_split.train.users)
    assert fewer.test is small_split.test
    dealt = RECIPES["small-shuffled"].prepare(small_split, 0).train.catalogue
    assert not np.array_equal(dealt.item_interests, small_split.train.catalogue.item_interests)
    untold = RECIPES["untold"].prepare(small_split, 0)
    assert small_split.train.scenario.any()
    assert not untold.train.scenario.any()


def test_a_changed_recipe_leaves_the_rest() -> None:
    assert SMALL.training is not None
    other = SMALL.changed(epochs=3, dropout=0.5)
    assert other.training == replace(SMALL.training, epochs=3)
    assert other.settings == {**SMALL.settings, "dropout": 0.5}
    assert OURS.training.batch == RECIPES["migration-one-layer"].training.batch == 16


def test_an_earlier_recipe_is_named_by_the_data_set(toy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(benchmark.FOLLOWERS, "migration", RECIPES["popularity"])
    found = benchmark.run("simulated-followers", "migration", "leave-one-out", 0, Path("nowhere"))
    assert found["dataset"] == "simulated"
    assert found["rank"] == toy("popularity")["rank"]


def test_scenarios_with_a_common_matrix_have_nothing_of_their_own_in_it(
    small_split: Any, tmp_path: Path
) -> None:
    recipe = tiny(replace(SHARED, make=common_matrix))
    model, _ = recipe.train(small_split, 0, tmp_path)
    assert not np.any(model.migration_matrix.by_scenario)
    assert np.any(model.migration_matrix.common)
