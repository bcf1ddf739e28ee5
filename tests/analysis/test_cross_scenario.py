"""Migration between scenarios: averages are those of each pair, and it can be turned up, down and off."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from imtlib.analysis.cross_scenario import Between, learnt_between, true_between
from imtlib.analysis.transitions import learnt_transition, spread
from imtlib.data.log import BehaviourLog
from imtlib.errors import LogError
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.simulation.truth import Truth

WHERE = ("shop", "video")
APART = ~np.eye(2, dtype=bool)


def a_log(migration: float, users: int = 300, **settings: object) -> tuple[BehaviourLog, Truth]:
    """With so many items that no interest is ever used up, and nothing but the last interest at work."""
    settings = {"trigger": 0.0, "personas": 1, "events": 10, "items": 200, "stay": 0.5, **settings}
    return simulate(users=users, interests=4, scenarios=WHERE, migration=migration, seed=1, **settings)


@pytest.fixture(scope="module")
def half() -> tuple[BehaviourLog, Truth, Between]:
    log, truth = a_log(0.5, users=3000, trigger=0.6, personas=3)
    return log, truth, true_between(truth, log)


def test_the_true_averages_are_those_of_each_pair(half) -> None:
    log, truth, found = half
    assert found.scenarios == WHERE
    for a, current in enumerate(WHERE):
        for b, asked in enumerate(WHERE):
            alone = truth.mean_transition(log, asked, current)[:-1]
            np.testing.assert_allclose(found.matrix[a, b], alone, rtol=1e-12)
    assert found.contexts.sum() == len(log) - len(log.users)


def test_the_true_averages_are_what_happened(half) -> None:
    log, truth, found = half
    later = np.setdiff1d(np.arange(len(log)), log.starts[:-1])
    counts = np.zeros((2, 2, 4, 4))
    ends = (log.scenario[later - 1], log.scenario[later], truth.interest[later - 1], truth.interest[later])
    np.add.at(counts, ends, 1)
    np.testing.assert_array_equal(counts.sum(axis=-1), found.contexts)
    p = found.matrix
    error = np.sqrt(p * (1 - p) / found.contexts[..., None])
    assert (np.abs(counts / found.contexts[..., None] - p) < 4.5 * error).all()


def test_migration_is_turned_off_down_and_up() -> None:
    off, down, up = (true_between(truth, log) for log, truth in map(a_log, (0.0, 0.5, 1.0)))
    for found in (off, down, up):
        assert np.ptp(found.matrix[~APART], axis=1).max() > 0.2, "within a scenario nothing was turned"
    # Off: whatever the last interest was, the next one comes as at the start.
    assert np.ptp(off.matrix[APART], axis=1).max() < 1e-12
    np.testing.assert_allclose(off.lift[APART], 1, rtol=1e-12)
    np.testing.assert_allclose(off.information[APART], 0, atol=1e-12)
    spans = [np.ptp(found.matrix[APART], axis=1) for found in (down, up)]
    np.testing.assert_allclose(spans[0], spans[1] / 2, rtol=1e-9)
    assert down.information[APART].min() > 0.01
    assert (down.information[APART] < up.information[APART] - 0.05).all()


def test_lift_is_over_the_chance_of_the_same_pair(half) -> None:
    _, _, found = half
    n = found.contexts[0, 1]
    chance = (n[:, None] * found.matrix[0, 1]).sum(axis=0) / n.sum()
    np.testing.assert_allclose(found.chance[0, 1], chance)
    np.testing.assert_allclose(found.lift[0, 1], found.matrix[0, 1] / chance)
    told = (n / n.sum()) @ (found.matrix[0, 1] * np.log(found.matrix[0, 1] / chance)).sum(axis=1)
    assert found.information[0, 1] == pytest.approx(told)


def test_no_context_is_no_number() -> None:
    log, truth = a_log(1.0, stay=1.0)
    found = true_between(truth, log)
    for values in (found.matrix, found.lift, found.chance, found.information):
        assert np.isnan(values[APART]).all()
        assert np.isfinite(values[~APART]).all()
    with pytest.raises(LogError, match="whole log"):
        true_between(truth, a_log(1.0, users=3)[0])


def test_the_learnt_averages_are_those_of_each_pair() -> None:
    """Also where lives are longer than what the model reads, and where a scenario was never seen."""
    log, _ = a_log(1.0, users=12)
    keras.utils.set_random_seed(0)
    model = InterestMigrationModel(log.catalogue, units=16, max_length=8)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
    found = learnt_between(model, log, batch=5)
    for a, current in enumerate(WHERE):
        for b, asked in enumerate(WHERE):
            alone = learnt_transition(model, log, asked, current)[:-1]
            np.testing.assert_allclose(found.matrix[a, b], alone, rtol=1e-5)
    length = np.minimum(log.lengths, 9)
    assert found.contexts.sum() == pytest.approx((length - 1).sum(), rel=1e-5)
    one = learnt_between(model, log.filter(log.scenario == 0))
    assert np.isnan(one.matrix[1]).all()
    assert np.isfinite(one.matrix[0, 0]).all()


def test_error_bars_over_models() -> None:
    one, two = (true_between(truth, log).matrix for log, truth in map(a_log, (0.4, 0.8)))
    found = spread([one, two])
    np.testing.assert_allclose(found.mean, (one + two) / 2)
    np.testing.assert_allclose(found.error, np.abs(one - two) / 2, atol=1e-12)


def test_the_excess_is_what_lies_above_chance() -> None:
    log, truth = simulate(300, 80, 4, WHERE, events=10, seed=3)
    found = true_between(truth, log)
    steps = found.contexts[..., None] * found.matrix
    chance = steps.sum(axis=-1, keepdims=True) * steps.sum(axis=-2, keepdims=True)
    chance = chance / steps.sum(axis=(-2, -1), keepdims=True)
    total = found.contexts[0, 1].sum() + found.contexts[1, 0].sum()
    for a, b in ((0, 1), (1, 0)):
        np.testing.assert_allclose(found.excess[a, b], (steps - chance)[a, b] / total, atol=1e-12)
    assert not found.excess[[0, 1], [0, 1]].any()
