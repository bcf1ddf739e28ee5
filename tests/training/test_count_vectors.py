"""Vectors that are counted, and losses that look further ahead."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import imtlib as imt
from imtlib.data.item_features import describe
from imtlib.errors import ModelFileError
from imtlib.losses.joint import later
from imtlib.training.batches import TrainingBatches
from imtlib.training.initialisation import count_vectors, nearness


def log_of(rows: list[tuple[str, str]]) -> imt.BehaviourLog:
    table = pd.DataFrame(rows, columns=["user", "item"])
    return imt.read_log(table.assign(time=range(len(rows))), scenario=None, behaviour=None)


def fresh(log: imt.BehaviourLog, **settings: Any) -> imt.InterestMigrationModel:
    keras.utils.set_random_seed(0)
    return imt.InterestMigrationModel.for_log(log, **{"units": 4, "heads": 2, **settings})


@pytest.fixture(scope="module")
def cliques() -> imt.BehaviourLog:
    """Six groups of four items; a history holds items of one group alone."""
    draw = np.random.default_rng(0)
    return log_of([(f"u{u}", f"{u % 6}-{draw.integers(4)}") for u in range(60) for _ in range(12)])


def test_nearness_by_hand() -> None:
    found = nearness(log_of([("u", "a"), ("u", "b"), ("u", "c"), ("v", "a"), ("v", "a")])).toarray()
    expected = np.array([[0, 1, 0.5], [1, 0, 1], [0.5, 1, 0]])
    total = expected.sum(axis=1)
    np.testing.assert_allclose(found, expected / np.sqrt(np.outer(total, total)), rtol=1e-6)


def test_items_that_are_met_together_begin_together(cliques: imt.BehaviourLog) -> None:
    model = fresh(cliques, units=8)
    count_vectors(model, cliques)
    rows = np.asarray(model.embedding.item.embeddings)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    group = np.array([name[0] for name in cliques.catalogue.items])
    near = rows @ rows.T
    same = group[:, None] == group
    assert near[same].mean() > 0.5
    assert abs(near[~same].mean()) < 0.1


def test_nothing_else_changes_and_a_lonely_item_stays() -> None:
    rows = [(f"u{u}", f"{(u + t) % 9}") for u in range(9) for t in range(4)] + [("alone", "z")]
    log = log_of(rows)
    model, before = fresh(log), fresh(log)
    count_vectors(model, log)
    lonely = log.catalogue.items.index("z")
    for one, other in zip(model.weights, before.weights, strict=True):
        if one is model.embedding.item._embeddings:
            changed = ~np.isclose(one, other).all(axis=1)
            assert changed.sum() == len(log.catalogue.items) - 1
            assert not changed[lonely]
        else:
            np.testing.assert_array_equal(one, other)


def test_of_an_item_with_modalities_the_vector_of_its_id_is_counted() -> None:
    log, _ = imt.simulate(30, items=40, interests=4, events=9, scenarios=("shop",))
    keras.utils.set_random_seed(0)
    model = imt.InterestMigrationModel.for_log(log, describe(log), units=8, heads=2)
    assert model.fused is not None
    before = np.asarray(model.fused.own)
    count_vectors(model, log)
    assert not np.allclose(model.fused.own, before)


def test_what_cannot_be_counted_is_refused(cliques: imt.BehaviourLog) -> None:
    with pytest.raises(ModelFileError, match="not that of the model"):
        count_vectors(fresh(cliques), log_of([("u", "a"), ("u", "b")]))
    with pytest.raises(ValueError, match="choose fewer units"):
        count_vectors(fresh(cliques, units=24), cliques)
    lonely = log_of([(f"u{u}", f"{u}") for u in range(9)])
    with pytest.raises(ValueError, match="nothing to count"):
        count_vectors(fresh(lonely), lonely)
    with pytest.raises(ValueError, match="at least 1"):
        fresh(cliques, target_horizon=0)


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
