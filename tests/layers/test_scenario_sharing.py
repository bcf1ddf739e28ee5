"""Sharing between scenarios: it begins as the identity, each has its own, and the five steps still hold."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from support import properties
from support.worlds import random_histories, small_catalogue, small_model

from imtlib.checkpoints import load_model
from imtlib.data.histories import Histories
from imtlib.data.queries import Event
from imtlib.layers.scenario_sharing import SHARINGS, ScenarioGate, SharedBottom, StarDense
from imtlib.model import InterestMigrationModel
from imtlib.streaming import Session

SPECIFIC = ["gate", "star"]
every_sharing = pytest.mark.parametrize("sharing", sorted(SHARINGS))
every_specific = pytest.mark.parametrize("sharing", SPECIFIC)


def a_layer(sharing: str) -> SharedBottom:
    keras.utils.set_random_seed(2)
    return SHARINGS[sharing](3, 16)


def states() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 5, 16)).astype(np.float32), rng.integers(0, 3, (2, 5)).astype(np.int32)


def disturbed(layer: SharedBottom) -> SharedBottom:
    """The layer with other weights, as if it had learnt."""
    layer(*states())
    rng = np.random.default_rng(1)
    layer.set_weights([w + rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    return layer


def shaken(sharing: str) -> InterestMigrationModel:
    return small_model("constant", sharing=sharing, matrix_from_state=True, successors=True)


@every_sharing
def test_every_layer_begins_as_the_identity(sharing: str) -> None:
    state, scenario = states()
    np.testing.assert_array_equal(np.asarray(a_layer(sharing)(state, scenario)), state)


@every_specific
def test_a_fresh_model_says_the_same_with_every_sharing(sharing: str) -> None:
    """So one that has learnt without can take its weights over, and learn on."""
    learnt, histories = shaken("none"), random_histories(small_catalogue(), properties.LENGTHS)
    model = InterestMigrationModel(learnt.catalogue, config=learnt.config, sharing=sharing)
    own = model.sharing.get_weights()
    model.set_weights(_in_place(model, learnt, own))
    scores = [properties.eager_scores(one, histories) for one in (model, learnt)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6, atol=1e-6)


def _in_place(
    model: InterestMigrationModel, learnt: InterestMigrationModel, own: list[np.ndarray]
) -> list[np.ndarray]:
    """The learnt model's weights, and where the model has those of its sharing, these."""
    mine = {id(weight): value for weight, value in zip(model.sharing.weights, own, strict=True)}
    rest = iter(learnt.get_weights())
    return [mine[id(weight)] if id(weight) in mine else next(rest) for weight in model.weights]


@pytest.mark.parametrize(
    ("sharing", "numbers"),
    [("gate", 3 * 16 + (32 * 16 + 16) + (16 * 16 + 16)), ("star", 4 * (16 * 16 + 16))],
)
def test_how_many_numbers_each_adds(sharing: str, numbers: int) -> None:
    model = shaken(sharing)
    assert model.count_params() - shaken("none").count_params() == numbers
    assert len({id(weight) for weight in model.trainable_weights}) == len(model.trainable_weights)


@every_specific
def test_the_weights_of_a_scenario_change_its_own_states_alone(sharing: str) -> None:
    layer, (state, scenario) = disturbed(a_layer(sharing)), states()
    before = np.asarray(layer(state, scenario))
    for code in range(3):
        kept = layer.own.numpy()
        changed = kept.copy()
        changed[code] += 0.3
        layer.own.assign(changed)
        moved = np.abs(np.asarray(layer(state, scenario)) - before).max(axis=-1)
        layer.own.assign(kept)
        assert (moved[scenario != code] == 0).all()
        assert (moved[scenario == code] > 1e-3).all()


@every_specific
def test_the_weights_of_a_scenario_change_its_own_scores_alone(sharing: str) -> None:
    model = shaken(sharing)
    histories = random_histories(model.catalogue, [6, 3, 0, 9, 5, 8], seed=3)
    asked = histories.request_scenario
    assert set(asked) >= {0, 1}, "the test needs both scenarios"
    before, kept = model.score(histories), model.sharing.own.numpy()
    try:
        changed = kept.copy()
        changed[1] += 0.5
        model.sharing.own.assign(changed)
        moved = np.abs(model.score(histories) - before).max(axis=1)
    finally:
        model.sharing.own.assign(kept)
    assert moved[asked != 1].max() < 1e-6
    assert moved[asked == 1].min() > 1e-4


def test_the_gate_is_its_formula_and_stays_within_its_bounds() -> None:
    layer, (state, scenario) = disturbed(a_layer("gate")), states()
    assert isinstance(layer, ScenarioGate)
    own, w1, b1, w2, b2 = (
        np.asarray(w, np.float64) for w in (layer.own, *layer.hidden.weights, *layer.opening.weights)
    )
    seen = np.concatenate([state, own[scenario]], axis=-1)
    gate = 2 / (1 + np.exp(-(np.maximum(seen @ w1 + b1, 0) @ w2 + b2)))
    properties.assert_close(np.asarray(layer(state, scenario)), gate * state)
    assert 0 <= gate.min() < 1 < gate.max() <= 2


def test_no_gradient_flows_back_through_the_gate_itself() -> None:
    import tensorflow as tf

    layer, (state, scenario) = disturbed(a_layer("gate")), states()
    watched = tf.constant(state)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        total = tf.reduce_sum(layer(watched, scenario))
    gate = np.asarray(layer.gate(state, scenario))
    properties.assert_close(np.asarray(tape.gradient(total, watched)), gate)


def test_the_star_is_its_formula() -> None:
    layer, (state, scenario) = disturbed(a_layer("star")), states()
    assert isinstance(layer, StarDense)
    common, own, bias, own_bias = (np.asarray(w, np.float64) for w in layer.weights)
    for row, place in np.ndindex(scenario.shape):
        s = scenario[row, place]
        by_hand = state[row, place] @ ((np.eye(16) + common) * (1 + own[s])) + bias + own_bias[s]
        properties.assert_close(np.asarray(layer(state, scenario))[row, place], by_hand)


@every_specific
@pytest.mark.parametrize(
    "holds",
    [
        properties.future_never_reaches_past,
        properties.padding_changes_nothing,
        properties.sums_are_one,
        properties.rows_are_mixed_not_averaged,
    ],
    ids=lambda check: check.__name__,
)
def test_the_five_steps_hold(sharing: str, holds) -> None:
    assert holds(shaken(sharing)) is None


@every_specific
def test_a_request_elsewhere_changes_its_own_position_alone(sharing: str) -> None:
    model = shaken(sharing)
    batch = properties.a_batch(model)
    before = properties.numbers(model(batch))
    batch["request_scenario"][0, 4] = (batch["request_scenario"][0, 4] + 1) % 3
    after = properties.numbers(model(batch))
    for name in ("state", "query", "next_interest", "interest_logits"):
        moved = np.abs(after[name] - before[name]).max(axis=-1)
        assert moved[0, 4] > 1e-4, name
        moved[0, 4] = 0
        assert moved.max() < 1e-6, name


@every_specific
def test_incremental_equals_whole(sharing: str) -> None:
    model = shaken(sharing)
    names = model.catalogue
    whole = random_histories(names, [4], seed=8)
    session = Session(model)
    state = session.start(whole.profile[0])
    for length in range(5):
        at = int(whole.time[max(length - 1, 0)]) + 100
        columns = (whole.item, whole.scenario, whole.behaviour, whole.time)
        past = [values[:length] for values in columns]
        for asked in range(3):
            request = (np.array([asked], np.int32), np.array([at]), whole.profile)
            so_far = Histories(names, np.array([0, length]), *past, *request)  # type: ignore[call-arg]
            found = session.score(state, names.scenarios[asked], at)
            properties.assert_close(found, model.score(so_far)[0])
        if length < 4:
            item, scenario = names.items[whole.item[length]], names.scenarios[whole.scenario[length]]
            behaviour = names.behaviours[whole.behaviour[length]]
            state = session.step(state, Event(item, scenario, behaviour, int(whole.time[length])))


@every_specific
def test_saved_and_loaded_scores_are_the_same(sharing: str, tmp_path: Path) -> None:
    model = shaken(sharing)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    histories = random_histories(model.catalogue, [5, 0, 12])
    assert again.config.sharing == sharing
    properties.assert_close(properties.eager_scores(again, histories), model.score(histories))


def test_a_scenario_that_never_occurs_keeps_what_all_share() -> None:
    """Its parts of the matrix and of the star stay where they began, those of the others learn."""
    keras.utils.set_random_seed(0)
    model = InterestMigrationModel(small_catalogue(), units=16, sharing="star", attention="none")
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.01)
    model.compile(optimizer=optimizer, jit_compile=False)
    optimizer.build(model.trainable_variables)  # or the graph would be traced twice
    batch = properties.a_batch(model)
    batch["scenario"] %= 2
    batch["request_scenario"] %= 2
    target = np.concatenate([batch["item"], batch["item"][:, :1]], axis=1)
    for _ in range(5):
        model.train_on_batch(batch, target)
    for own in (model.migration_matrix.by_scenario, model.sharing.own, model.sharing.own_bias):
        assert np.abs(own[2]).max() == 0
        assert np.abs(own[0]).max() > 1e-3
    common = np.asarray(model.migration_matrix.common)
    assert np.abs(common).max() > 1e-3


def test_an_unknown_sharing_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown sharing 'gates'"):
        InterestMigrationModel(small_catalogue(), sharing="gates")
