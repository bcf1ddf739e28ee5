"""Evaluation against a slow count by hand, and on the cases where metrics usually go wrong."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    label_ranking_average_precision_score,
    log_loss,
    ndcg_score,
    top_k_accuracy_score,
)

import imtlib as imt
from imtlib.baselines.counting import Popularity
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import EvaluationSet, Histories
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split, leave_one_out, time_split
from imtlib.errors import LogError, ModelFileError
from imtlib.evaluation.ranking import Report, evaluate


def catalogue(items: int, scenarios: int = 2) -> Catalogue:
    return Catalogue(
        tuple(f"i{i}" for i in range(items)),
        tuple(f"s{s}" for s in range(scenarios)),
        ("view",),
        ("all",),
        np.ones((items, 1), bool),
    )


def part(
    names: Catalogue,
    histories: list[list[int]],
    target: list[int],
    user: list[int] | None = None,
    scenario: list[int] | None = None,
) -> EvaluationSet:
    n = len(target)
    starts = np.concatenate([[0], np.cumsum([len(h) for h in histories])]).astype(np.int64)
    events = np.array([i for h in histories for i in h], np.int32)
    zeros = np.zeros(len(events), np.int32)
    request = np.array(scenario if scenario is not None else [0] * n, np.int32)
    known = Histories(
        names,
        starts,
        events,
        zeros,
        zeros,
        np.arange(len(events)),
        request,
        np.zeros(n, np.int64),
        np.zeros((n, 0), np.float32),
    )
    users = np.array(user if user is not None else range(n), np.int32)
    return EvaluationSet(known, np.array(target, np.int32), users, "test")


@dataclass
class Fixed:
    """Scores by the user's first event, so that batching cannot mix rows up unnoticed; else a row for all."""

    catalogue: Catalogue
    table: np.ndarray

    def score(self, histories: Histories) -> np.ndarray:
        first = [
            histories.item[s] if e > s else 0
            for s, e in zip(histories.starts[:-1], histories.starts[1:], strict=True)
        ]
        return self.table[np.array(first, int)]


def by_hand(table: np.ndarray, histories: list[list[int]], target: list[int]) -> tuple[list, list]:
    """Ranks and losses, one request at a time, in plain Python."""
    ranks, losses = [], []
    for history, aim in zip(histories, target, strict=True):
        score = table[history[0] if history else 0]
        if aim in history:
            ranks.append(np.inf)
            losses.append(np.nan)
            continue
        unseen = [i for i in range(len(score)) if i not in history]
        ranks.append(1 + sum(score[i] >= score[aim] for i in unseen if i != aim))
        losses.append(-np.log(np.exp(float(score[aim])) / sum(np.exp(float(score[i])) for i in unseen)))
    return ranks, losses


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_the_count_by_hand(data: st.DataObject) -> None:
    items = data.draw(st.integers(2, 9))
    n = data.draw(st.integers(1, 12))
    item = st.integers(0, items - 1)
    histories = data.draw(st.lists(st.lists(item, max_size=items), min_size=n, max_size=n))
    target = data.draw(st.lists(item, min_size=n, max_size=n))
    scenario = data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    table = rng.integers(-3, 3, (items, items)).astype(np.float32)  # few values: many ties
    names = catalogue(items)
    asked = part(names, histories, target, scenario=scenario)
    report = evaluate(Fixed(names, table), asked, ks=(1, 3), batch=data.draw(st.integers(1, 5)))
    ranks, losses = by_hand(table, histories, target)
    np.testing.assert_array_equal(report.rank, ranks)
    np.testing.assert_allclose(report.loss, losses, rtol=1e-5, atol=1e-5)
    assert report.seen_targets == sum(r == np.inf for r in ranks)
    for k in (1, 3):
        assert report[f"HR@{k}"] == pytest.approx(np.mean([r <= k for r in ranks]))
        gains = [1 / np.log2(1 + r) if r <= k else 0 for r in ranks]
        assert report[f"NDCG@{k}"] == pytest.approx(np.mean(gains))
        shown = set()
        for history in histories:
            score = table[history[0] if history else 0]
            unseen = [i for i in range(items) if i not in history]
            shown |= {i for _, i in sorted((-score[i], i) for i in unseen)[:k]}
        assert report[f"coverage@{k}"] == pytest.approx(len(shown) / items)
    assert report["MRR"] == pytest.approx(np.mean([1 / r for r in ranks]))
    here = [r for r, s in zip(ranks, scenario, strict=True) if s == 1]
    inner = report.by_scenario["s1"]
    assert len(inner.rank) == len(here)
    if here:
        assert inner["MRR"] == pytest.approx(np.mean([1 / r for r in here]))
        low, high = inner.interval("MRR", draws=50)
        assert low <= inner["MRR"] + 1e-9
        assert high >= min(1 / r for r in here)
        mine = [r for r, s in enumerate(scenario) if s == 1]
        alone = evaluate(Fixed(names, table), asked.take(np.array(mine)), ks=(1, 3))
        for k in (1, 3):
            assert inner[f"coverage@{k}"] == alone[f"coverage@{k}"]


def test_a_model_that_says_the_same_of_all_comes_last() -> None:
    names = catalogue(5)
    report = evaluate(Fixed(names, np.zeros((5, 5))), part(names, [[], [0, 1]], [3, 3]), ks=(2,))
    assert report.rank.tolist() == [5, 3]
    assert report["HR@2"] == 0


def test_a_seen_target_is_a_miss_that_is_told() -> None:
    names = catalogue(4)
    table = np.log(np.full((4, 4), 0.25))
    table[:, 2] = 5.0
    report = evaluate(Fixed(names, table), part(names, [[2], [0]], [2, 2]), ks=(1,))
    assert report.rank.tolist() == [np.inf, 1]
    assert report["HR@1"] == 0.5
    assert report.seen_targets == 1
    assert "1 targets had been seen already" in repr(report)
    assert np.isnan(report.loss[0])
    assert np.isfinite(report["log loss"])


def test_undefined_is_nan_and_raises_no_warning() -> None:
    names = catalogue(3)
    report = evaluate(Fixed(names, np.eye(3)), part(names, [[1]], [1]), ks=(1,))
    assert np.isnan(report["log loss"])
    assert np.isnan(report.interval("log loss")).all()
    empty = report.by_scenario["s1"]
    assert all(np.isnan(value) for value in empty.values())


def test_k_above_the_catalogue_finds_all() -> None:
    names = catalogue(3)
    report = evaluate(Fixed(names, np.eye(3)), part(names, [[]], [1]), ks=(99,))
    assert report["HR@99"] == 1
    assert report["coverage@99"] == 1


def test_refuses_what_cannot_be_evaluated() -> None:
    names = catalogue(3)
    asked, model = part(names, [[], []], [1, 2], user=[7, 8]), Fixed(names, np.eye(3))
    with pytest.raises(LogError, match="no request"):
        evaluate(model, part(names, [], []))
    with pytest.raises(ModelFileError, match="items: 1 of the model alone, such as 'i3'"):
        evaluate(Fixed(catalogue(4), np.eye(4)), asked)
    with pytest.raises(ValueError, match="shape"):
        evaluate(Fixed(names, np.eye(3)[:, :2]), asked)
    with pytest.raises(ValueError, match="positive"):
        evaluate(model, asked, ks=(0,))
    with pytest.raises(ValueError, match=r"item 'i1' at request 0 of the test part \(user code 7\) is nan"):
        evaluate(Fixed(names, np.array([[0, np.nan, 0]] * 3)), asked)
    with pytest.raises(KeyError, match="no metric"):
        evaluate(model, asked)["HR@7"]


def many(users: int, requests: int, seed: int) -> Report:
    names, rng = catalogue(40), np.random.default_rng(seed)
    user = np.repeat(np.arange(users), requests).tolist()
    target = rng.integers(0, 40, users * requests).tolist()
    return evaluate(Fixed(names, rng.normal(size=(40, 40))), part(names, [[]] * len(target), target, user))


def test_interval_is_that_of_the_users_and_depends_on_the_seed_alone() -> None:
    report = many(400, 1, seed=1)
    low, high = report.interval("HR@10", seed=3)
    assert low < report["HR@10"] < high
    error = np.sqrt(report["HR@10"] * (1 - report["HR@10"]) / 400)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert (low, high) == report.interval("HR@10", seed=3)
    assert (low, high) != report.interval("HR@10", seed=4)
    with pytest.raises(ValueError, match="coverage"):
        report.interval("coverage@10")


def test_interval_keeps_the_requests_of_a_user_together() -> None:
    names = catalogue(2)
    target = [0] * 50 + [1] * 50
    apart = evaluate(Fixed(names, np.eye(2)), part(names, [[]] * 100, target), ks=(1,))
    together = evaluate(
        Fixed(names, np.eye(2)), part(names, [[]] * 100, target, [0] * 50 + [1] * 50), ks=(1,)
    )
    assert np.ptp(apart.interval("HR@1")) < 0.3
    assert together.interval("HR@1") == (0.0, 1.0)


def test_table_shows_every_metric_and_scenario() -> None:
    names = catalogue(3)
    report = evaluate(Fixed(names, np.eye(3)), part(names, [[], []], [0, 2], scenario=[0, 1]), ks=(1, 2))
    table = repr(report).splitlines()
    assert table[0] == "test: 2 requests, each ranking the unseen of 3 items"
    assert table[1].split() == ["all", "s0", "s1"]
    assert table[2].split() == ["HR@1", "0.5000", "1.0000", "0.0000"]
    assert {line.split("  ")[0] for line in table[2:]} == set(report)


def test_metrics_are_those_of_scikit_learn() -> None:
    names, rng = catalogue(60), np.random.default_rng(5)
    n, ks = 60, (1, 5, 10)
    target = rng.integers(0, 60, n)
    seen = [[u] + [int(i) for i in rng.permutation(60)[:6] if i not in (u, target[u])] for u in range(n)]
    target[target == np.arange(n)] = (target[target == np.arange(n)] + 1) % 60
    seen = [[i for i in history if i != target[u]] for u, history in enumerate(seen)]
    table = rng.normal(size=(60, 60))
    report = evaluate(Fixed(names, table), part(names, seen, target.tolist()), ks=ks)
    score, truth = table.copy(), np.eye(60)[target]
    for u, history in enumerate(seen):
        score[u, history] = -1e3  # what was seen stands below all else
    for k in ks:
        assert report[f"NDCG@{k}"] == pytest.approx(ndcg_score(truth, score, k=k))
        assert report[f"HR@{k}"] == pytest.approx(
            top_k_accuracy_score(target, score, k=k, labels=np.arange(60))
        )
    assert report["MRR"] == pytest.approx(label_ranking_average_precision_score(truth, score))
    p = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    assert report["log loss"] == pytest.approx(log_loss(target, p, labels=np.arange(60)))


def test_ties_count_against_the_model_as_in_scikit_learn() -> None:
    names, rng = catalogue(30), np.random.default_rng(6)
    table = rng.integers(0, 4, (30, 30)).astype(float)
    target = rng.integers(0, 30, 30)
    report = evaluate(Fixed(names, table), part(names, [[]] * 30, target.tolist()))
    theirs = label_ranking_average_precision_score(np.eye(30)[target], np.tile(table[0], (30, 1)))
    assert report["MRR"] == pytest.approx(theirs)


def test_integer_scores_are_ranked_like_floats(small_split: Split) -> None:
    class Counts:
        catalogue = small_split.train.catalogue

        def score(self, histories: Histories) -> NDArray[Any]:
            return np.arange(len(self.catalogue.items) * len(histories)).reshape(len(histories), -1) % 7

    class Floats(Counts):
        def score(self, histories: Histories) -> NDArray[Any]:
            return super().score(histories).astype(np.float32)

    found, expected = (evaluate(model, small_split.test) for model in (Counts(), Floats()))
    np.testing.assert_array_equal(found.rank, expected.rank)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)


def test_what_is_bought_again_can_be_ranked(small_split: Split) -> None:
    names, part = small_split.train.catalogue, small_split.test
    # Each asks for the item of the last event once more.
    again = replace(part, target=part.histories.item[part.histories.starts[1:] - 1])
    assert again.seen_targets.all()

    class Last:
        catalogue = names

        def score(self, histories: Histories) -> NDArray[Any]:
            return np.eye(len(names.items))[histories.item[histories.starts[1:] - 1]]

    assert evaluate(Last(), again)["HR@1"] == 0
    assert evaluate(Last(), again).seen_targets == len(again)
    assert evaluate(Last(), again, seen=True)["HR@1"] == 1


def test_a_report_of_many_scenarios_is_no_wider_than_a_page() -> None:
    names = tuple(f"market number {n} of them all" if n % 3 else f"m{n}" for n in range(40))
    n = 400
    report = Report(
        "test",
        (10,),
        names,
        np.arange(1.0, n + 1),
        np.ones(n),
        np.arange(n, dtype=np.int32),
        (np.arange(n) % 40).astype(np.int32),
        np.zeros((40, 1, 5), bool),
    )
    lines = repr(report).split("\n")
    assert max(map(len, lines)) <= 110
    assert sum("m39" in line for line in lines) == 1
    for name in names:
        assert any(name[:24] in line for line in lines)


def test_the_wrong_kind_of_object_is_named(small_split: Split, small_log: BehaviourLog) -> None:
    with pytest.raises(TypeError, match=r"a BehaviourLog is no EvaluationSet: give a split's test"):
        evaluate(Popularity(small_log), small_log)
    with pytest.raises(TypeError, match="a Split scores nothing"):
        evaluate(small_split, small_split.test)
    both = imt.simulate(users=5, events=5)
    for make in (leave_one_out, lambda log: time_split(log, 0.5), imt.InterestMigrationModel.for_log):
        with pytest.raises(TypeError, match=r"a tuple is no BehaviourLog: .* log, truth = imtlib\.simulate"):
            make(both)


def test_what_is_shown_of_large_things_is_short(small_split: Split) -> None:
    for thing in (small_split.train.catalogue, small_split.test, small_split.test.histories, small_split):
        assert len(repr(thing)) < 600
    assert "160 items, 5 scenarios" in repr(small_split.train.catalogue)
    assert "48 requests" in repr(small_split.test)
