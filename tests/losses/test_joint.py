"""The joint loss is its definition, position by position."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from support import properties
from support.worlds import small_model

from imtlib.losses.joint import later


def by_definition(model, batch: dict, target: np.ndarray, outputs: dict) -> float:
    """The loss as loops over the positions, in float64."""
    config, held = model.config, model.catalogue.item_interests
    rows = (np.asarray(outputs[name]).reshape(target.size, -1) for name in ("query", "next_interest"))
    log_p = np.asarray(model.item_scores(*rows)["log_p"], np.float64).reshape(*target.shape, -1)
    loss, weight = 0.0, 0.0
    for k in range(1, config.target_horizon + 1):
        terms = []
        for row, place in zip(*np.nonzero(target >= 0), strict=True):
            ahead = place + k - 1
            scenario = batch["request_scenario"][row]
            if ahead < target.shape[1] and target[row, ahead] >= 0 and scenario[ahead] == scenario[place]:
                terms.append(-log_p[row, place, target[row, ahead]])
        loss, weight = loss + np.mean(terms) / k, weight + 1 / k
    points = []
    for row, place in zip(*np.nonzero(target >= 0), strict=True):
        coming = target[row, place : place + config.window]
        true = held[coming[coming >= 0]].any(axis=0)
        p = 1 / (1 + np.exp(-np.asarray(outputs["interest_logits"][row, place], np.float64)))
        points.append(-np.log(np.where(true, p, 1 - p)).mean())
    return loss / weight + config.interest_loss_weight * float(np.mean(points))


@pytest.mark.parametrize("through_interests", [True, False])
def test_it_is_its_definition(through_interests: bool) -> None:
    model = small_model(
        "constant", through_interests=through_interests, target_horizon=3, interest_loss_weight=0.5
    )
    batch = properties.a_batch(model)
    rng = np.random.default_rng(0)
    target = rng.integers(0, 12, batch["request_scenario"].shape).astype(np.int32)
    for row, length in enumerate(properties.LENGTHS):
        target[row, length + 1 :] = -1
    outputs = model(batch)
    found = float(model.compute_loss(batch, target, outputs))
    assert found == pytest.approx(by_definition(model, batch, target, outputs), rel=1e-5)


def test_a_later_item_counts_where_the_next_one_would_be() -> None:
    target = tf.constant([[5, 6, 7, 8, -1]])
    scenario = tf.constant([[0, 1, 0, 0, 0]])
    learnt = tf.constant([[True, True, True, False, True]])
    batch = {"request_scenario": scenario}
    assert later(batch, target, 1) is target
    np.testing.assert_array_equal(later(batch, target, 2), [[-1, -1, 8, -1, -1]])
    np.testing.assert_array_equal(later(batch, target, 3), [[7, -1, -1, -1, -1]])
    np.testing.assert_array_equal(later({**batch, "learnt": learnt}, target, 2), [[-1] * 5])
