"""The learnt baselines: they see the past alone, padding and company change nothing, and they can learn."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.worlds import random_histories, small_catalogue

from imtlib.baselines.sequential import SequenceBaseline, SequenceConfig
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.inputs import inputs
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import ModelFileError
from imtlib.evaluation.ranking import evaluate
from imtlib.simulation.simulator import simulate
from imtlib.training.trainer import fit

ENCODERS = ("gru", "sasrec", "sasrec given interests")


@pytest.fixture(scope="module")
def parts() -> Split:
    return leave_one_out(simulate(users=120, items=40, interests=4, events=16, seed=1)[0])


def which(name: str) -> dict[str, Any]:
    """The arguments that a name stands for."""
    return {"encoder": name.split()[0], "given_interests": name.endswith("interests")}


def made(name: str) -> SequenceBaseline:
    """A baseline whose weights all differ from zero."""
    keras.utils.set_random_seed(0)
    model = SequenceBaseline(small_catalogue(), units=8, heads=2, max_length=32, **which(name))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(weight + rng.normal(0, 0.2, weight.shape))
    return model


@pytest.mark.parametrize("encoder", ENCODERS)
def test_rows_are_log_probabilities_whatever_the_length(encoder: str) -> None:
    score = made(encoder).score(random_histories(small_catalogue(), [0, 1, 7, 40]))
    assert score.shape == (4, 12)
    np.testing.assert_allclose(np.exp(score).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_future_does_not_reach_the_past(encoder: str) -> None:
    model, batch = made(encoder), inputs(random_histories(small_catalogue(), [9, 9]), 32)
    other = {**batch, "item": batch["item"].copy()}
    other["item"][:, 5] = (other["item"][:, 5] + 1) % 12
    moved = np.abs(np.array(model(batch)) - np.array(model(other))).max(axis=(0, 2))
    assert moved[:6].max() == 0
    assert moved[6:].min() > 1e-3


@pytest.mark.parametrize("encoder", ENCODERS)
def test_padding_company_and_order_change_nothing(encoder: str) -> None:
    model, histories = made(encoder), random_histories(small_catalogue(), [3, 0, 20, 5, 11])
    together = model.score(histories)
    alone = np.concatenate([model.score(histories.take(np.array([row]))) for row in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    order = np.array([4, 2, 0, 1, 3])
    np.testing.assert_allclose(model.score(histories.take(order), batch=2), together[order], atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_only_the_last_events_are_read(encoder: str) -> None:
    model, long = made(encoder), random_histories(small_catalogue(), [60])
    last = Histories(
        long.catalogue,
        np.array([0, 32]),
        long.item[-32:],
        long.scenario[-32:],
        long.behaviour[-32:],
        long.time[-32:],
        long.request_scenario,
        long.request_time,
        long.profile,
    )
    np.testing.assert_allclose(model.score(long), model.score(last), atol=1e-6)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_loss_is_the_mean_over_real_positions(encoder: str) -> None:
    model, histories = made(encoder), random_histories(small_catalogue(), [4, 9])
    batch = inputs(histories, 32)
    target = np.full((2, 10), -1, np.int32)
    target[0, :5], target[1, 2:10] = np.arange(5), np.arange(8)
    states = np.array(model(batch), np.float64)
    logits = states @ np.array(model.table(), np.float64).T + np.array(model.item_bias)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    row, place = np.nonzero(target >= 0)
    expected = -log_p[row, place, target[row, place]].mean()
    loss = tf.function(lambda x, y: model.compute_loss(x, y, model(x)))  # as training runs it
    assert float(loss(batch, target)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_it_learns(encoder: str, parts: Split) -> None:
    keras.utils.set_random_seed(0)
    model = SequenceBaseline.for_log(parts.train, **which(encoder), units=16, layers=1, dropout=0.1)
    before = evaluate(model, parts.test)["log loss"]
    fit(model, parts, epochs=3, batch=16, learning_rate=0.01, progress=False)
    assert evaluate(model, parts.test)["log loss"] < before - 0.05


def test_given_interests_are_shared_by_the_items_that_have_them() -> None:
    model, histories = made("sasrec given interests"), random_histories(small_catalogue(), [3, 6])
    before = model.score(histories)
    moved = model.interest.numpy()
    moved[0] += 1.0
    model.interest.assign(moved)
    held = small_catalogue().item_interests
    share = held[:, 0] / held.sum(axis=1)
    apart = np.array(model.table()).sum(axis=1) - np.array(model.item.embeddings).sum(axis=1)
    plain = np.array(model.interest).sum(axis=1)
    np.testing.assert_allclose(apart, (held / held.sum(axis=1, keepdims=True)) @ plain, atol=1e-5)
    assert share.max() > 0
    assert np.abs(model.score(histories) - before).max() > 0.01


def test_a_config_makes_the_same_model_anew() -> None:
    model = made("sasrec given interests")
    again = SequenceBaseline.from_config(model.get_config())
    again.set_weights(model.get_weights())
    histories = random_histories(small_catalogue(), [2, 9])
    np.testing.assert_array_equal(again.score(histories), model.score(histories))
    assert (
        again.config == model.config == SequenceConfig(units=8, heads=2, max_length=32, given_interests=True)
    )


def test_bad_settings_and_other_catalogues_are_refused() -> None:
    names = small_catalogue()
    with pytest.raises(ValueError, match="unknown encoder 'rnn'"):
        SequenceBaseline(names, encoder="rnn")
    with pytest.raises(ValueError, match="heads=3 does not divide units=8"):
        SequenceBaseline(names, SequenceConfig(units=8), heads=3)
    other = Catalogue(
        names.items[::-1], names.scenarios, names.behaviours, names.interests, names.item_interests, {}
    )
    with pytest.raises(ModelFileError, match="items: the same names in another order"):
        made("gru").score(random_histories(other, [3]))
