"""Biases that are counted."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import imtlib as imt
from imtlib.errors import ModelFileError
from imtlib.training.initialisation import count_biases


@pytest.fixture(scope="module")
def log() -> imt.BehaviourLog:
    return imt.simulate(users=40, items=60, interests=4, events=12, scenarios=("shop",))[0]


def fresh(log: imt.BehaviourLog) -> imt.InterestMigrationModel:
    keras.utils.set_random_seed(0)
    return imt.InterestMigrationModel.for_log(log, units=8, heads=2, through_interests=False)


def test_a_model_that_says_nothing_else_is_popularity(log: imt.BehaviourLog) -> None:
    split = imt.leave_one_out(log)
    model = fresh(log)
    model.embedding.item.embeddings.assign(np.zeros(model.embedding.item.embeddings.shape))
    count_biases(model, split.train)
    histories = split.test.histories
    popular = imt.Popularity(split.train).score(histories)
    np.testing.assert_allclose(model.score(histories), popular, atol=1e-4)


def test_only_lessons_count_and_nothing_else_changes(log: imt.BehaviourLog) -> None:
    model, before = fresh(log), fresh(log)
    lessons = log.item == 3
    count_biases(model, log, lessons)
    found = np.asarray(model.item_bias)
    assert found.argmax() == 3
    np.testing.assert_allclose(np.delete(found, 3), found[0])
    np.testing.assert_allclose(found[3] - found[0], np.log1p(lessons.sum()), rtol=1e-5)
    assert found.mean() == pytest.approx(0, abs=1e-6)
    for one, other in zip(model.weights, before.weights, strict=True):
        assert one is model.item_bias or np.array_equal(one, other)


def test_counts_of_another_catalogue_are_refused(log: imt.BehaviourLog) -> None:
    other, _ = imt.simulate(users=40, items=50, interests=4, events=12, scenarios=("shop",))
    with pytest.raises(ModelFileError, match="not that of the model"):
        count_biases(fresh(log), other)
    with pytest.raises(ValueError, match="one for each event"):
        count_biases(fresh(log), log, np.ones(3, np.bool_))
