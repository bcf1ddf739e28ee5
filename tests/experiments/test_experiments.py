"""Experiments beside the benchmark: domains, tasks, new items and new users, each with its toy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import imtlib as imt
from experiments import cross_scenario, domains, modalities, new_users, tasks
from experiments.recipes import Recipe
from imtlib.evaluation.new_items import hold_out_items
from imtlib.evaluation.new_users import NewUsers, hold_out_users

TINY = {"units": 8, "heads": 2}
ONCE = {"epochs": 1, "batch": 64, "max_validation_requests": 5}


def tiny(recipe: Recipe) -> Recipe:
    """The same, but small and soon trained."""
    return recipe.changed(**ONCE, **TINY)


def two_shops(users: int = 60, each: int = 20) -> imt.BehaviourLog:
    """Everybody meets items of both shops that nobody else meets, one a day; every second user the last two
    on one day.
    """
    last = 2 * each - 1
    rows = [
        (f"u{user}", f"{user}-{place}", "ab"[(place + user // 2) % 2], min(place, last - user % 2))
        for user in range(users)
        for place in range(last + 1)
    ]
    table = pd.DataFrame(rows, columns=["user", "item", "scenario", "day"])
    table["time"] = 86_400 * table.pop("day")
    items = pd.DataFrame({"item": table["item"], "interests": [[shop] for shop in table["scenario"]]})
    return imt.read_log(table, items=items, behaviour=None)


@pytest.mark.parametrize("name", ["smoothed-transitions", "each"])
def test_two_domains_are_asked_by_both_protocols(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domains, "amazon_food_kitchen", two_shops)
    if domains.MODELS[name].training is not None:
        monkeypatch.setitem(domains.MODELS, name, tiny(domains.MODELS[name]))
    found = domains.run(name, 0, tmp_path)
    assert (found["fitting"] is None) == (name == "smoothed-transitions")
    assert sum(one["requests"] for one in found["authors"]["test"].values()) == 60
    assert sum(one["requests"] for one in found["untied"]["test"].values()) == 30
    for protocol, most in (("authors", 1000), ("untied", 1200)):
        for one in found[protocol]["test"].values():
            rank = np.array(one["rank"])
            assert len(rank) == one["requests"]
            assert rank.min(initial=1) >= 1
            assert rank.max(initial=1) <= most
            if len(rank):
                assert one["HR@10"] == pytest.approx((rank <= 10).mean(), abs=1e-5)


def test_counts_of_a_domain_are_those_of_its_events_alone() -> None:
    log = two_shops(20, 6)
    models = domains.each_for_log(log, **TINY)
    domains.each_counted(models, log)
    for code, model in models.models.items():
        own = np.isin(np.arange(len(log.catalogue.items)), log.item[log.scenario == code])
        bias = np.asarray(model.item_bias)
        assert bias[own].min() > bias[~own].max()


def test_points_are_held_against_the_five_events_after_the_tenth() -> None:
    people, truth = imt.simulate(30, seed=1)
    model = imt.InterestMigrationModel.for_log(people, **TINY)
    found = tasks.points(model, people)
    tenth = people.starts[:-1] + 10
    logits = model.outputs(people.histories_before(tenth), ("interest_logits",))["interest_logits"]
    p = 1 / (1 + np.exp(-logits))
    came = np.array([people.catalogue.item_interests[people.item[e : e + 5]].max(axis=0) for e in tenth])
    by_hand = -np.log(np.where(came, p, 1 - p)).mean()
    assert found["cross-entropy"] == pytest.approx(by_hand, rel=1e-4)
    assert 0 < found["average precision"] <= 1
    assert 0 < tasks.matrix(model, people, truth) < 1
    assert tasks.items(model, people, truth)["share of the achievable"] < 1


def test_balances_differ_in_their_weight_alone() -> None:
    weights = [recipe.settings.get("interest_loss_weight") for recipe in tasks.BALANCES.values()]
    assert weights == [0, 0.1, 1, 10, 100, 1_000_000, None]
    assert list(tasks.BALANCES)[1] == "points-0.1"


@pytest.mark.parametrize("name", ["id-title", "popularity"])
def test_new_items_are_asked_three_ways_and_with_each_modality_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = imt.simulate(80, 60, 4, ("shop", "video"), events=12, seed=3)
    names = log.catalogue.items
    table = pd.DataFrame(
        {"item": names, "title": [f"a thing {name}" for name in names], "year": np.arange(len(names))}
    )
    new = hold_out_items(replace(log, item_features=table), share=0.2, least=1)
    monkeypatch.setattr(modalities, "some_users", lambda draw: new)
    monkeypatch.setattr(modalities, "BASE", tiny(modalities.BASE))
    found = modalities.run("", name, 0, tmp_path)
    if name == "popularity":
        assert 0 < found["chance of HR@10"]["new"] < found["chance of HR@10"]["among"] <= 1
    else:
        assert found["modalities"] == ["id", "text"]
        assert set(found["one missing"]) == set(found["gates"]["new"]) == {"id", "text"}
    assert found["requests"]["new"] == found["requests"]["among"] == len(found["rank"])
    assert 1 <= min(found["rank"]) <= max(found["rank"]) <= found["new items"]


@pytest.fixture(scope="module")
def newcomers() -> NewUsers:
    return hold_out_users(imt.simulate(60, 40, 4, ("shop", "video"), events=14, seed=3)[0], 0.3, 10)


@pytest.mark.parametrize("name", ["popularity", "scratch"])
def test_new_users_are_asked_after_each_number_of_their_events(
    name: str, newcomers: NewUsers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imt, "load_dataset", lambda dataset: newcomers.log)
    trained, _ = new_users.DATASETS["simulated-small"]
    monkeypatch.setitem(new_users.DATASETS, "simulated-small", (tiny(trained), 0.3))
    found = new_users.run("simulated-small", name, 0, tmp_path)
    assert list(found["after"]) == (["2", "5", "10"] if name == "scratch" else ["0", "1", "2", "5", "10"])
    assert {len(ranks) for ranks in found["rank"].values()} == {len(newcomers.users)}
    assert len(found["history"]) == (3 if name == "scratch" else 0)


def test_a_model_between_scenarios_is_kept_where_it_is_loaded_from(
    tmp_path: Path, small_log: imt.BehaviourLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "between-none-blind-seed0"
    migration, recipe, seed = cross_scenario.MODELS[name]
    monkeypatch.setitem(cross_scenario.MODELS, name, (migration, tiny(recipe), seed))
    monkeypatch.setattr(cross_scenario, "between", lambda migration, seed: (small_log,))
    cross_scenario.run(name, tmp_path / "out", tmp_path / "epochs")
    card: dict[str, Any] = json.loads((tmp_path / "out" / f"{name}.json").read_text("utf8"))
    assert card["command"] == f"python -m experiments cross-scenario --model {name}"
    assert card["fitting"]["epochs"] == len(card["history"]) == 1
    assert (tmp_path / "out" / f"{name}.weights.h5").exists()
