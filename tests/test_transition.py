"""Transition: rows that are believed in give what whole matrices give, in value and in gradient."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.worlds import random_histories

from imtlib.data.catalogue import Catalogue
from imtlib.data.inputs import inputs
from imtlib.model import InterestMigrationModel
from imtlib.streaming import Session
from imtlib.transition import SMALL, CurrentInterest, MigrationMatrix, mix_rows

MANY = SMALL + 9


def many_interests() -> Catalogue:
    """Fifty items with one to three of 41 interests; of five items nothing is known."""
    rng = np.random.default_rng(3)
    held = np.zeros((50, MANY + 1), np.bool_)
    for item in range(45):
        held[item, rng.choice(MANY, rng.integers(1, 4), replace=False)] = True
    held[45:, MANY] = True
    names = tuple(f"y{k}" for k in range(MANY))
    return Catalogue(
        tuple(f"item {i}" for i in range(50)),
        ("shop", "video"),
        ("view", "buy"),
        (*names, "other"),
        held,
        {"group": ("a", "b")},
    )


@pytest.fixture
def layer() -> MigrationMatrix:
    keras.utils.set_random_seed(1)
    layer = MigrationMatrix(MANY, scenarios=2, rank=3)
    layer.build((None, 4), (None,))
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 1, weight.shape))
    return layer


def beliefs(few: int) -> np.ndarray:
    """In START, in one interest, in three, and in as many as stand in for an unknown one."""
    rng = np.random.default_rng(2)
    belief = np.zeros((2, 6, MANY + 1), np.float32)
    belief[:, 0, MANY] = 1
    for place, count in enumerate([1, few, SMALL, SMALL, 2], start=1):
        for row in range(2):
            held = rng.choice(MANY, count, replace=False)
            belief[row, place, held] = rng.dirichlet(np.ones(count))
    return belief


def test_believed_rows_give_what_whole_matrices_give(layer: MigrationMatrix) -> None:
    rng = np.random.default_rng(4)
    context = tf.constant(rng.normal(size=(2, 6, 4)).astype(np.float32))
    scenario = tf.constant(rng.integers(0, 2, (2, 6)).astype(np.int32))
    belief, given = tf.constant(beliefs(3)), rng.normal(size=(2, 6, MANY)).astype(np.float32)
    found = []
    for way in (
        lambda: mix_rows(belief, layer(context, scenario)),
        lambda: layer.mixed(belief, context, scenario, 3),
    ):
        with tf.GradientTape() as tape:
            tape.watch([context])
            mixed = way()
            loss = tf.reduce_sum(mixed * given)
        weights = [weight.value for weight in layer.trainable_weights]
        gradients = tape.gradient(loss, [context, *weights])
        found.append([mixed, *(tf.convert_to_tensor(gradient) for gradient in gradients)])
    np.testing.assert_allclose(found[0][0].numpy().sum(axis=-1), 1, rtol=1e-5)
    for whole, rows in zip(*found, strict=True):
        np.testing.assert_allclose(rows, whole, rtol=1e-4, atol=1e-5)


def test_a_belief_has_a_gradient_where_it_is_not_zero(layer: MigrationMatrix) -> None:
    belief = tf.constant(beliefs(3))
    context, scenario = tf.ones((2, 6, 4)), tf.zeros((2, 6), tf.int32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(belief)
        whole = tf.reduce_sum(mix_rows(belief, layer(context, scenario)) ** 2)
        rows = tf.reduce_sum(layer.mixed(belief, context, scenario, 3) ** 2)
    expected, found = tape.gradient(whole, belief).numpy(), tape.gradient(rows, belief).numpy()
    held = belief.numpy() > 0
    np.testing.assert_allclose(found[held], expected[held], rtol=1e-4)


def test_of_many_interests_the_most_expected_stand_in_for_an_unknown_one() -> None:
    layer = CurrentInterest(MANY)
    expected = np.random.default_rng(0).random((1, 3, MANY)).astype(np.float32)
    possible = np.zeros((1, 2, MANY), np.bool_)
    belief = np.asarray(layer(np.ones((1, 3, 4), np.float32), possible, expected))
    np.testing.assert_allclose(belief.sum(axis=-1), 1, rtol=1e-5)
    assert ((belief[:, 1:] > 0).sum(axis=-1) == SMALL).all()
    best = np.argsort(-expected[0, 0])[:SMALL]
    assert set(np.flatnonzero(belief[0, 1])) == set(best)


def test_a_model_of_many_interests_scores_as_its_whole_matrix_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import imtlib.model

    names = many_interests()
    histories = random_histories(names, [0, 1, 2, 7, 12])
    scores = []
    for small in (SMALL, MANY + 1):
        monkeypatch.setattr(imtlib.model, "SMALL", small)
        keras.utils.set_random_seed(0)
        model = InterestMigrationModel(names, units=8, heads=2)
        rng = np.random.default_rng(0)
        for weight in model.weights:
            weight.assign(weight + rng.normal(0, 0.3, weight.shape) if weight.dtype == "float32" else weight)
        scores.append(model.score(histories))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
    monkeypatch.undo()
    matrices = model.outputs(histories, ("matrix", "belief", "next_interest"))
    mixed = (matrices["belief"][..., None] * matrices["matrix"]).sum(axis=1)
    np.testing.assert_allclose(mixed, matrices["next_interest"], atol=1e-5)


def test_what_scores_holds_no_matrix() -> None:
    """What a batch of requests takes grows with the interests, and not with their square."""
    model = InterestMigrationModel(many_interests(), units=8, heads=2)
    ends = model._ends(inputs(random_histories(model.catalogue, [3, 4]), 10))
    assert max(np.prod(part.shape) for part in ends.values()) <= 2 * len(model.catalogue.items)
    session = Session(model)
    assert np.isfinite(session.score(session.start())).all()
