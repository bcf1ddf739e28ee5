"""First weights that are counted: biases and vectors."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest

import imtlib as imt
from imtlib.data.item_features import describe
from imtlib.errors import ModelFileError
from imtlib.layers.backend import stored_matrix
from imtlib.training.initialisation import count_biases, count_vectors, nearness


@pytest.fixture(scope="module")
def log() -> imt.BehaviourLog:
    return imt.simulate(users=40, items=60, interests=4, events=12, scenarios=("shop",))[0]


def fresh(log: imt.BehaviourLog, units: int = 8) -> imt.InterestMigrationModel:
    keras.utils.set_random_seed(0)
    return imt.InterestMigrationModel.for_log(log, units=units, attention="none", through_interests=False)


def test_a_model_that_says_nothing_else_is_popularity(log: imt.BehaviourLog) -> None:
    split = imt.leave_one_out(log)
    model = fresh(log)
    model.embedding.item.embeddings.assign(np.zeros(model.embedding.item.embeddings.shape))
    count_biases(model, split.train)
    histories = split.test.histories
    popular = imt.Popularity(split.train).score(histories)
    np.testing.assert_allclose(model.score(histories), popular, atol=1e-4)


def test_only_targets_count_and_nothing_else_changes(log: imt.BehaviourLog) -> None:
    model, before = fresh(log), fresh(log)
    targets = log.item == 3
    count_biases(model, log, targets)
    found = np.asarray(model.item_bias)
    assert found.argmax() == 3
    np.testing.assert_allclose(np.delete(found, 3), found[0])
    np.testing.assert_allclose(found[3] - found[0], np.log1p(targets.sum()), rtol=1e-5)
    assert found.mean() == pytest.approx(0, abs=1e-6)
    for one, other in zip(model.weights, before.weights, strict=True):
        assert one is model.item_bias or np.array_equal(one, other)


def test_counts_of_another_catalogue_are_refused(log: imt.BehaviourLog) -> None:
    other, _ = imt.simulate(users=40, items=50, interests=4, events=12, scenarios=("shop",))
    with pytest.raises(ModelFileError, match="not that of the model"):
        count_biases(fresh(log), other)
    with pytest.raises(ValueError, match="one for each event"):
        count_biases(fresh(log), log, np.ones(3, np.bool_))


def log_of(rows: list[tuple[str, str]]) -> imt.BehaviourLog:
    table = pd.DataFrame(rows, columns=["user", "item"])
    return imt.read_log(table.assign(time=range(len(rows))), scenario=None, behaviour=None)


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
    model = fresh(cliques)
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
    model, before = fresh(log, 4), fresh(log, 4)
    count_vectors(model, log)
    lonely = log.catalogue.items.index("z")
    for one, other in zip(model.weights, before.weights, strict=True):
        if one is stored_matrix(model.embedding.item):
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
        count_vectors(fresh(cliques, 4), log_of([("u", "a"), ("u", "b")]))
    with pytest.raises(ValueError, match="choose fewer units"):
        count_vectors(fresh(cliques, units=24), cliques)
    lonely = log_of([(f"u{u}", f"{u}") for u in range(9)])
    with pytest.raises(ValueError, match="nothing to count"):
        count_vectors(fresh(lonely, 4), lonely)
