"""Protocols: who is asked, and among which items, by hand on small logs; and the floors on the real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from imtlib.baselines.counting import Popularity, SmoothedTransitions
from imtlib.data.histories import Histories
from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.data.splits import leave_one_out, time_split
from imtlib.errors import LogError, ModelFileError, UnknownNameError
from imtlib.evaluation.protocols import (
    RestrictToScenario,
    draw_negatives,
    drop_tied_requests,
    evaluate_sampled,
    items_of_scenarios,
    untied_events,
)
from imtlib.evaluation.ranking import evaluate


def two_domains(users: int = 30, items: int = 20, events: int = 6, seed: int = 0) -> BehaviourLog:
    """Items below half are food, the rest kitchen; nobody meets an item twice."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{user}", item, "food" if item < items // 2 else "kitchen", time)
        for user in range(users)
        for time, item in enumerate(rng.permutation(items)[:events])
    ]
    table = pd.DataFrame(rows, columns=["user", "item", "scenario", "time"])
    return read_log(table, behaviour=None)


class Fixed:
    """Scores that depend on the item and on the last item of the history, with many ties."""

    def __init__(self, log: BehaviourLog) -> None:
        self.catalogue = log.catalogue
        n = len(log.catalogue.items)
        self.table = np.random.default_rng(1).integers(-3, 3, (n, n)).astype(np.float32)

    def score(self, histories: Histories) -> np.ndarray:
        return self.table[histories.item[histories.starts[1:] - 1]]


@pytest.fixture(scope="module")
def small() -> BehaviourLog:
    return two_domains()


def test_items_of_scenarios_are_those_with_an_event_there() -> None:
    rows = [
        ("u", "tea", "uk"),
        ("u", "pan", "uk"),
        ("v", "tea", "de"),
        ("v", "jam", "de"),
        ("v", "tea", "de"),
    ]
    table = pd.DataFrame(rows, columns=["user", "item", "scenario"]).assign(time=range(5))
    log = read_log(table, behaviour=None)
    assert log.catalogue.items == ("tea", "pan", "jam")
    assert items_of_scenarios(log).tolist() == [[True, True, False], [True, False, True]]


def test_in_scenario_ranks_the_unseen_items_of_the_requests_scenario_alone(small: BehaviourLog) -> None:
    test, belongs, model = leave_one_out(small).test, items_of_scenarios(small), Fixed(small)
    report = evaluate(RestrictToScenario(model, belongs), test, ks=(1, 3))
    for row, target in enumerate(test.target):
        history = test.histories.take(np.array([row]))
        score = model.score(history)[0]
        rivals = [
            i
            for i in range(len(score))
            if belongs[history.request_scenario[0], i] and i not in history.item and i != target
        ]
        assert report.rank[row] == 1 + sum(score[i] >= score[target] for i in rivals)
        total = sum(np.exp(float(score[i] - score[target])) for i in [*rivals, target])
        assert report.loss[row] == pytest.approx(np.log(total), abs=1e-5)
    everywhere = evaluate(model, test, ks=(1, 3))
    assert (report.rank <= everywhere.rank).all()
    assert report["MRR"] > everywhere["MRR"]


def test_drawn_items_are_new_to_the_user_of_the_scenario_and_never_the_target(small: BehaviourLog) -> None:
    test, belongs = leave_one_out(small).test, items_of_scenarios(small)
    drawn = draw_negatives(test, belongs, count=2, seed=3)
    assert drawn.shape == (len(test), 2)
    assert drawn.dtype == np.int32
    for row, items in enumerate(drawn):
        history = test.histories.take(np.array([row]))
        assert len({*items, test.target[row], *history.item}) == 2 + 1 + len(history.item)
        assert belongs[history.request_scenario[0], items].all()
    assert (draw_negatives(test, belongs, count=2, seed=3) == drawn).all()
    assert (draw_negatives(test, belongs, count=2, seed=4) != drawn).any()
    some = np.array([7, 2, 11])
    assert (draw_negatives(test.take(some), belongs, count=2, seed=3) == drawn[some]).all()


def test_every_item_that_may_be_drawn_is_drawn_as_often(small: BehaviourLog) -> None:
    one = leave_one_out(small).test.take(np.array([4]))
    belongs = items_of_scenarios(small)
    count = np.zeros(len(small.catalogue.items))
    for seed in range(3000):
        count[draw_negatives(one, belongs, count=1, seed=seed)[0]] += 1
    free = belongs[one.histories.request_scenario[0]].copy()
    free[[*one.histories.item, one.target[0]]] = False
    assert (count[~free] == 0).all()
    expected = 3000 / free.sum()
    assert np.abs(count[free] - expected).max() < 5 * np.sqrt(expected)


def test_sampled_ranks_are_the_count_by_hand(small: BehaviourLog) -> None:
    test, belongs, model = leave_one_out(small).test, items_of_scenarios(small), Fixed(small)
    report = evaluate_sampled(model, test, belongs, drawn=2, ks=(1, 2), seed=5, batch=7)
    drawn = draw_negatives(test, belongs, count=2, seed=5)
    for row, target in enumerate(test.target):
        score = model.score(test.histories.take(np.array([row])))[0].astype(float)
        assert report.rank[row] == 1 + (score[drawn[row]] >= score[target]).sum()
        total = np.exp(score[[target, *drawn[row]]] - score[target]).sum()
        assert report.loss[row] == pytest.approx(np.log(total), abs=1e-6)
    again = evaluate_sampled(model, test, belongs, drawn=2, ks=(1, 2), seed=5, batch=100)
    assert (again.rank == report.rank).all()


def test_a_sampled_report_has_the_metrics_of_each_domain_but_no_coverage(small: BehaviourLog) -> None:
    test, belongs = leave_one_out(small).test, items_of_scenarios(small)
    report = evaluate_sampled(Fixed(small), test, belongs, drawn=2)
    assert list(report) == ["HR@5", "HR@10", "NDCG@5", "NDCG@10", "MRR", "log loss"]
    assert report["HR@5"] == 1  # three candidates
    food = report.by_scenario["food"]
    here = test.histories.request_scenario == report.scenarios.index("food")
    assert 0 < here.sum() < len(test)
    assert food["MRR"] == pytest.approx((1 / report.rank[here]).mean())
    assert repr(report).startswith("test: 30 requests, each ranking its target and 2 drawn items\n")
    assert "coverage" not in repr(food)
    low, high = report.interval("MRR")
    assert low <= report["MRR"] <= high


def test_a_target_that_was_seen_is_a_miss() -> None:
    rows = [
        ("u", "a"),
        ("u", "b"),
        ("u", "a"),
        ("v", "c"),
        ("v", "b"),
        ("v", "a"),
        ("w", "d"),
        ("w", "e"),
        ("w", "f"),
    ]
    table = pd.DataFrame(rows, columns=["user", "item"]).assign(time=range(9))
    log = read_log(table, scenario=None, behaviour=None)
    split = leave_one_out(log)
    report = evaluate_sampled(Fixed(log), split.test, items_of_scenarios(log), drawn=2)
    assert np.isinf(report.rank).tolist() == [True, False, False]
    assert report.seen_targets == 1
    assert np.isnan(report.loss[0])


def test_what_cannot_be_evaluated_is_told(small: BehaviourLog) -> None:
    test, belongs, model = leave_one_out(small).test, items_of_scenarios(small), Fixed(small)
    with pytest.raises(
        LogError, match=r"99 items cannot be drawn for request 0: scenario '(food|kitchen)' has"
    ):
        evaluate_sampled(model, test, belongs, drawn=99)
    with pytest.raises(LogError, match="the test part holds no request"):
        evaluate_sampled(model, test.take(slice(0, 0)), belongs)
    with pytest.raises(ValueError, match=r"belongs has shape \(20, 2\), expected \(2, 20\)"):
        evaluate_sampled(model, test, belongs.T, drawn=2)
    with pytest.raises(ValueError, match=r"belongs has shape"):
        RestrictToScenario(model, belongs[:1])
    with pytest.raises(ValueError, match="must be positive"):
        evaluate_sampled(model, test, belongs, drawn=2, ks=())
    with pytest.raises(ValueError, match="count=0 must be positive"):
        draw_negatives(test, belongs, count=0)
    with pytest.raises(ModelFileError, match="catalogue of the test part is not that of the model: items: "):
        evaluate_sampled(Fixed(two_domains(items=24)), test, belongs, drawn=2)
    broken = Fixed(small)
    broken.table[:] = np.nan
    with pytest.raises(ValueError, match="not a finite number"):
        evaluate_sampled(broken, test, belongs, drawn=2)


def days(times: dict[str, list[int]]) -> BehaviourLog:
    rows = [
        (user, f"{user}{place}", time) for user, found in times.items() for place, time in enumerate(found)
    ]
    return read_log(pd.DataFrame(rows, columns=["user", "item", "time"]), scenario=None, behaviour=None)


def test_untied_keeps_the_targets_that_are_alone_in_their_second() -> None:
    log = days({"clear": [1, 1, 2, 3], "end": [1, 2, 3, 3], "middle": [1, 2, 2, 3], "all": [5, 5, 5, 5]})
    split = leave_one_out(log)
    kept = drop_tied_requests(split, log)
    assert [log.users[code] for code in kept.test.user] == ["clear", "middle"]
    assert [log.users[code] for code in kept.valid.user] == ["clear"]
    assert kept.test.histories.item.tolist() == split.test.take(np.array([0, 2])).histories.item.tolist()
    assert len(kept.train) == len(split.train)
    assert kept.notes[-1] == (
        "Left out, since the target shares its time with another event of the user: 3 of 4 validation "
        "requests, 2 of 4 test requests."
    )
    assert kept.hash != split.hash
    assert drop_tied_requests(leave_one_out(log), log).hash == kept.hash


def test_alone_are_the_events_that_share_their_second_with_none_of_their_user() -> None:
    rows = [
        ("a", 1, 5),
        ("a", 2, 6),
        ("a", 3, 6),
        ("a", 4, 6),
        ("a", 5, 7),
        ("b", 1, 7),
        ("b", 2, 9),
        ("b", 3, 9),
    ]
    log = read_log(pd.DataFrame(rows, columns=["user", "item", "time"]), scenario=None, behaviour=None)
    assert untied_events(log).tolist() == [True, False, False, False, True, True, False, False]
    assert untied_events(log.filter(untied_events(log))).all()


def test_untied_looks_at_one_user_at_a_time() -> None:
    log = days({"a": [1, 2, 3], "b": [3, 4, 5], "c": [0, 1, 2]})
    kept = drop_tied_requests(leave_one_out(log), log)
    assert len(kept.test) == len(kept.valid) == 3


def test_untied_serves_any_split_and_tells_what_it_cannot() -> None:
    log = days({"a": [1, 2, 5, 8, 8], "b": [1, 3, 6, 9], "c": [2, 4, 5, 7, 8]})
    kept = drop_tied_requests(time_split(log, at=7, valid_at=5), log)
    assert [log.users[code] for code in kept.test.user] == ["b", "c"]
    tied = days({"a": [1, 2, 2], "b": [1, 3, 3]})
    with pytest.raises(LogError, match="each target of the valid part shares its time"):
        drop_tied_requests(leave_one_out(tied), tied)
    with pytest.raises(LogError, match="the valid part asks for events that are not in this log"):
        drop_tied_requests(leave_one_out(log), days({"a": [11, 12, 13], "b": [12, 13, 14], "c": [1, 2, 3]}))


def test_in_scenarios_keeps_the_catalogue_and_the_users_who_were_there(small: BehaviourLog) -> None:
    table = small.to_frame()
    table.loc[table["user"] == "u0", "scenario"] = "garden"
    log = read_log(table, behaviour=None)
    food = log.in_scenarios(["food"])
    assert food.catalogue.fingerprint == log.catalogue.fingerprint
    assert set(food.to_frame()["scenario"]) == {"food"}
    assert "u0" not in food.users
    assert (food.lengths > 0).all()
    expected = table[table["scenario"] == "food"]
    pd.testing.assert_frame_equal(
        food.to_frame().drop(columns="behaviour"),
        expected.drop(columns="behaviour").reset_index(drop=True),
    )
    assert food.user_features.index.tolist() == list(food.users)
    left = len(log.users) - len(food.users)
    assert food.notes[-1] == (
        f"Only the events in food: {len(food):,} of {len(log):,}; {left} users have none there."
    )
    both = log.in_scenarios(["kitchen", "food"])
    assert len(both) + len(log.in_scenarios(["garden"])) == len(log)
    # A model made for one such log can be asked on another.
    evaluate(Popularity(leave_one_out(food).train), leave_one_out(both).test)


def test_in_scenarios_tells_what_is_not_there(small: BehaviourLog) -> None:
    with pytest.raises(UnknownNameError, match="unknown scenario 'garage'"):
        small.in_scenarios(["garage"])
    empty = replace(
        small, catalogue=replace(small.catalogue, scenarios=(*small.catalogue.scenarios, "attic"))
    )
    with pytest.raises(LogError, match="no event is left"):
        empty.in_scenarios(["attic"])


@pytest.fixture(scope="module")
def food_kitchen(mirrored: Callable[[str], BehaviourLog]) -> BehaviourLog:
    return mirrored("amazon-food-kitchen")


@pytest.mark.slow
def test_the_floors_on_food_and_kitchen(food_kitchen: BehaviourLog) -> None:
    split = drop_tied_requests(leave_one_out(food_kitchen), food_kitchen)
    assert (len(split.valid), len(split.test)) == (3485, 4869)
    assert np.bincount(split.test.histories.request_scenario).tolist() == [1948, 2921]
    belongs = items_of_scenarios(food_kitchen)
    model = SmoothedTransitions(split.train)
    drawn = evaluate_sampled(model, split.test, belongs)
    assert drawn["HR@10"] == pytest.approx(0.112, abs=0.006)
    assert [drawn.by_scenario[name]["HR@10"] for name in ("food", "kitchen")] == pytest.approx(
        [0.129, 0.101], abs=0.008
    )
    whole = evaluate(RestrictToScenario(model, belongs), split.test, ks=(5, 10))
    assert whole["HR@10"] == pytest.approx(0.0351, abs=0.0002)


def test_ties_make_most_of_the_floor_on_a_market(mirrored: Callable[[str], BehaviourLog]) -> None:
    log = mirrored("xmarket").in_scenarios(["de"])
    split = leave_one_out(log)
    clear = drop_tied_requests(split, log)
    assert (len(split.test), len(clear.test)) == (1851, 1076)
    model = RestrictToScenario(SmoothedTransitions(split.train), items_of_scenarios(log))
    with_ties = evaluate(model, split.test, ks=(10,))
    without = evaluate(model, clear.test, ks=(10,))
    assert with_ties["HR@10"] == pytest.approx(0.285, abs=0.001)
    assert without["HR@10"] == pytest.approx(0.022, abs=0.001)
