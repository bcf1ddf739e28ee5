"""Losses that look further ahead than the next item."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import imtlib as imt
from imtlib.losses.joint import later
from imtlib.training.batches import TrainingBatches


def fresh(log: imt.BehaviourLog, **settings: Any) -> imt.InterestMigrationModel:
    keras.utils.set_random_seed(0)
    return imt.InterestMigrationModel.for_log(log, **{"units": 4, "heads": 2, **settings})


def test_a_later_item_counts_where_the_next_one_would_be() -> None:
    target = tf.constant([[5, 6, 7, 8, -1]])
    scenario = tf.constant([[0, 1, 0, 0, 0]])
    learnt = tf.constant([[True, True, True, False, True]])
    batch = {"request_scenario": scenario}
    assert later(batch, target, 1) is target
    np.testing.assert_array_equal(later(batch, target, 2), [[-1, -1, 8, -1, -1]])
    np.testing.assert_array_equal(later(batch, target, 3), [[7, -1, -1, -1, -1]])
    np.testing.assert_array_equal(later({**batch, "learnt": learnt}, target, 2), [[-1] * 5])


@pytest.mark.parametrize("through_interests", [True, False])
def test_the_loss_is_the_weighted_mean_over_coming_items(through_interests: bool) -> None:
    log, _ = imt.simulate(12, items=40, interests=4, events=9, scenarios=("shop",), seed=3)
    settings = {"through_interests": through_interests, "interest_loss_weight": 0.0}
    near, far = fresh(log, **settings), fresh(log, **settings, target_horizon=3)
    x, y = next(iter(TrainingBatches(log, 12, 9, seed=0)))
    outputs = far(x)
    rows, length = y.shape
    log_p = tf.reshape(
        far.log_p(
            tf.reshape(outputs["query"], (rows * length, -1)),
            tf.reshape(outputs["next_interest"], (rows * length, -1)),
        ),
        (rows, length, -1),
    ).numpy()
    parts = []
    for step in (1, 2, 3):
        pairs = [(r, t) for r in range(rows) for t in range(length - step + 1) if y[r, t + step - 1] >= 0]
        parts.append(-np.mean([log_p[r, t, y[r, t + step - 1]] for r, t in pairs]))
    assert float(near.compute_loss(x, y, near(x))) == pytest.approx(parts[0], rel=1e-4)
    expected = np.average(parts, weights=[1, 1 / 2, 1 / 3])
    assert float(far.compute_loss(x, y, outputs)) == pytest.approx(expected, rel=1e-4)
