"""Interest metrics against scikit-learn, and the calibration of rows against worlds where it is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score
from support.worlds import random_histories, small_catalogue, small_model

from imtlib.analysis.interest_metrics import (
    METRICS,
    WITH_INTERVAL,
    average_precision,
    evaluate_interests,
    reliability,
)
from imtlib.data.histories import EvaluationSet
from imtlib.errors import LogError
from imtlib.model import InterestMigrationModel
from imtlib.recommendation import responsibility


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 60))
def test_average_precision_is_that_of_scikit_learn_ties_and_all(seed: int, levels: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    score, came = rng.integers(0, levels + 1, (n, 3)) / levels, rng.random((n, 3)) < 0.4
    found = average_precision(score, came)
    for column in range(3):
        if came[:, column].any():
            theirs = average_precision_score(came[:, column], score[:, column])
            assert found[column] == pytest.approx(theirs)
        else:
            assert np.isnan(found[column])


def test_reliability_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    p = rng.random((500, 4)) ** 2
    came = rng.random((500, 4)) < p
    found = reliability(p, came)
    true, predicted = calibration_curve(came.ravel(), p.ravel(), n_bins=10)
    np.testing.assert_allclose(found.observed, true)
    np.testing.assert_allclose(found.predicted, predicted)
    assert found.size.sum() == 2000
    assert found.error < 0.03
    assert reliability(np.sqrt(p), came).error > 0.1
    assert np.isnan(reliability(np.full(3, 0.05), np.zeros(3)).predicted[1:]).all()


def requests(lengths: list[int]) -> EvaluationSet:
    names = small_catalogue()
    histories = random_histories(names, lengths)
    target = np.random.default_rng(3).integers(0, len(names.items), len(lengths)).astype(np.int32)
    return EvaluationSet(histories, target, np.arange(len(lengths), dtype=np.int32), "test")


def test_report_by_hand() -> None:
    model, part = small_model("state"), requests([0, 3, 9, 9, 14] * 8)
    found = evaluate_interests(model, part)
    ends = model.outputs(part.histories, ("next_interest", "belief"))
    p, own = ends["next_interest"].astype(float), part.histories.catalogue.item_interests[part.target]
    for y in range(4):
        assert found.by_interest[y] == pytest.approx(average_precision_score(own[:, y], p[:, y]))
    assert found.macro == pytest.approx(average_precision_score(own, p, average="macro"))
    assert found.micro == pytest.approx(average_precision_score(own, p, average="micro"))
    assert found.log_loss == pytest.approx(-np.log((p * own).sum(axis=1)).mean())
    assert found.row_weight[4] == pytest.approx(8)  # the empty histories are all START
    np.testing.assert_allclose(found.rows_predicted[4], p[::5].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.rows_observed.sum(axis=1), 1, atol=1e-6)
    assert found.row_weight.sum() == pytest.approx(40, abs=1e-4)


def test_scenarios_and_intervals_are_those_of_their_requests() -> None:
    model, part = small_model("state"), requests([0, 3, 9, 9, 14] * 8)
    part = EvaluationSet(part.histories, part.target, np.repeat(np.arange(20, dtype=np.int32), 2), "test")
    found = evaluate_interests(model, part)
    assert list(found.by_scenario) == list(part.histories.catalogue.scenarios)
    for code, name in enumerate(found.by_scenario):
        there = np.flatnonzero(part.histories.request_scenario == code)
        if len(there) == 0:
            assert np.isnan(found.by_scenario[name].macro)
            continue
        alone = evaluate_interests(model, part.take(there))
        for metric in METRICS:
            assert getattr(found.by_scenario[name], metric) == pytest.approx(getattr(alone, metric), abs=1e-5)
    for metric in WITH_INTERVAL:
        low, high = found.interval(metric)
        assert low < high
        assert low - 0.05 < getattr(found, metric) < high + 0.05
    loss = -np.log((found.predicted * found.own).sum(axis=1))
    error = loss.reshape(20, 2).mean(axis=1).std() / 20**0.5
    low, high = found.interval("log_loss", draws=1000)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    for other in ("macros", "row_error"):
        with pytest.raises(KeyError, match=other):
            found.interval(other)


def test_one_impossible_request_does_not_make_the_rows_perfect() -> None:
    model, part = small_model("state"), requests([3, 9, 14])
    found = evaluate_interests(model, part)
    impossible = np.where(found.own[:1] > 0, 0.0, found.predicted[:1])
    responsibilities = responsibility(np.zeros(impossible.shape), impossible, found.own[:1])
    assert responsibilities.sum() == pytest.approx(1.0)
    broken = replace(found, predicted=np.concatenate([impossible, found.predicted[1:]]))
    broken = replace(broken, responsibilities=np.concatenate([responsibilities, found.responsibilities[1:]]))
    assert 0 < broken.row_error <= 1


def test_a_model_that_has_learnt_no_transitions_is_refused() -> None:
    part = requests([3, 9])
    direct = InterestMigrationModel(part.histories.catalogue, units=8, heads=2, through_interests=False)
    with pytest.raises(ValueError, match="through_interests=True"):
        evaluate_interests(direct, part)


def test_a_scenario_without_requests_has_no_figures() -> None:
    model, part = small_model("state"), requests([3, 9, 14])
    nobody = evaluate_interests(model, part)._of(np.array([], int))
    assert all(np.isnan(getattr(nobody, metric)) for metric in METRICS)
    assert all(np.isnan(end) for end in nobody.interval("macro"))


def test_rows_are_calibrated_when_the_items_are_drawn_from_the_model_itself() -> None:
    model, rng = small_model("state"), np.random.default_rng(4)
    part = requests([6, 9, 12, 15] * 500)
    p = np.exp(model.score(part.histories).astype(float))
    drawn = (p.cumsum(axis=1) < rng.random((len(part), 1)) * p.sum(axis=1, keepdims=True)).sum(axis=1)
    its_own = EvaluationSet(part.histories, drawn.astype(np.int32), part.user, "drawn")
    assert evaluate_interests(model, its_own).row_error < 0.05
    single = np.flatnonzero(model.catalogue.item_interests.sum(axis=1) == 1)[0]
    always = np.full(len(part), single, np.int32)
    other = EvaluationSet(part.histories, always, part.user, "always one item, of one interest")
    assert evaluate_interests(model, other).row_error > 0.12


def test_nothing_to_evaluate_is_said() -> None:
    with pytest.raises(LogError, match="no request"):
        evaluate_interests(small_model("state"), requests([]))
