"""The learnt matrix is the true one, as far as two fresh logs can tell; and it tells scenarios apart."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from imtlib.analysis.transitions import distance, learnt_transition, spread
from imtlib.data.splits import leave_one_out
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.training.trainer import fit

WHERE = ("shop", "video")


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[list[np.ndarray], list[np.ndarray]]]:
    """For two scenarios, the learnt and the true matrices on two logs of the same laws."""
    matrices: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {where: ([], []) for where in WHERE}
    for seed in (0, 1):
        log, truth = simulate(500, 80, 4, WHERE, events=24, trigger=0.0, personas=1, specific=0.8, seed=seed)
        keras.utils.set_random_seed(seed)
        split = leave_one_out(log)
        model = InterestMigrationModel.for_log(split.train, units=16, heads=2, dropout=0.1)
        fit(model, split, epochs=5, batch=16, learning_rate=0.01, max_validation_requests=20, progress=False)
        for where in WHERE:
            matrices[where][0].append(learnt_transition(model, log, where))
            matrices[where][1].append(truth.mean_transition(log, where))
    return matrices


@pytest.mark.slow
def test_the_learnt_matrix_is_near_the_true_one_and_far_from_the_other_scenario(found) -> None:
    for where, elsewhere in zip(WHERE, reversed(WHERE), strict=True):
        for learnt, true, other in zip(*found[where], found[elsewhere][1], strict=True):
            np.testing.assert_allclose(learnt.sum(axis=1), 1, rtol=1e-5)
            assert distance(true[:-1], other[:-1]) > 0.6
            assert distance(learnt[:-1], true[:-1]) < 0.28
            assert distance(learnt[:-1], other[:-1]) > 0.4


@pytest.mark.slow
def test_error_bars_tell_the_scenarios_apart(found) -> None:
    shop, video = spread(found["shop"][0]), spread(found["video"][0])
    assert shop.logs == 2
    low, high = shop.interval()
    apart = (video.interval()[0] > high) | (video.interval()[1] < low)
    assert apart[:-1].mean() > 0.25


def test_distance_and_spread_by_hand() -> None:
    one, other = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
    assert distance(one, other) == 0.5
    assert np.isnan(distance(one * np.nan, other))
    found = spread([one, other])
    np.testing.assert_allclose(found.mean[0], [0.5, 0.5])
    np.testing.assert_allclose(found.error[0], [0.5, 0.5])
    with pytest.raises(ValueError, match="at least two"):
        spread([one])
