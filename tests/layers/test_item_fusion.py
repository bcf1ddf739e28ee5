"""Items of which more is known than an id: the layer is its formula, and what is missing changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support.worlds import random_histories, random_modalities, small_catalogue

from imtlib.checkpoints import load_model
from imtlib.data.inputs import inputs
from imtlib.data.item_features import Modalities
from imtlib.data.queries import Event
from imtlib.layers.item_fusion import Bag, FusedItems
from imtlib.model import InterestMigrationModel
from imtlib.streaming import Session

pytestmark = pytest.mark.usefixtures("eagerly")


def random_layer(modalities: Modalities, units: int = 8, seed: int = 0) -> FusedItems:
    """A layer whose gates are not even."""
    keras.utils.set_random_seed(seed)
    layer = FusedItems.of(modalities, units)
    rng = np.random.default_rng(seed)
    layer.direction.assign(rng.normal(size=layer.direction.shape))
    layer.opening.assign(rng.normal(size=layer.opening.shape))
    return layer


def test_the_layer_is_its_formula() -> None:
    told = random_modalities()
    layer = random_layer(told)
    words = np.asarray(layer.readers[0].table, np.float64)
    own = np.asarray(layer.own, np.float64)
    read = [np.asarray(reader(told.vectors[reader.name]), np.float64) for reader in layer.readers[1:]]
    for i in range(12):
        codes = told.bags["text"][i]
        codes = codes[codes > 0]
        x = [own[i], words[codes - 1].sum(axis=0) / max(len(codes), 1) ** 0.5, read[0][i], read[1][i]]
        shown = np.flatnonzero(told.present[i])
        logit = [layer.opening[m] + np.dot(layer.direction[m], x[m]) for m in shown]
        gate = np.exp(logit) / np.exp(logit).sum()
        row = sum(g * x[m] for g, m in zip(gate, shown, strict=True)) / np.sqrt((gate**2).sum())
        np.testing.assert_allclose(layer.embeddings[i], row, atol=1e-5)
    np.testing.assert_array_equal(layer(np.array([[3, 1]])), [[layer.embeddings[3], layer.embeddings[1]]])


def test_gates_sum_to_one_over_what_is_shown() -> None:
    told = random_modalities()
    layer = random_layer(told)
    gates = np.asarray(layer.gates(layer.parts()))
    np.testing.assert_allclose(gates.sum(axis=1), 1, atol=1e-6)
    assert (gates[~told.present] == 0).all()
    assert (gates[told.present] > 0).all()


def test_an_item_of_which_nothing_is_known_is_zero_and_harms_no_gradient() -> None:
    told = random_modalities()
    present = told.present.copy()
    present[4] = False
    layer = random_layer(replace(told, present=present))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer.embeddings**2)
    assert np.abs(layer.embeddings[4]).max() == 0
    for gradient in tape.gradient(total, layer.trainable_variables):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_what_is_missing_or_hidden_changes_nothing() -> None:
    told = random_modalities()
    layer = random_layer(told)
    shown = told.present & (np.random.default_rng(1).random(told.present.shape) < 0.6)
    layer.show(shown)
    before = np.asarray(layer.embeddings)
    assert np.abs(before - random_layer(told).embeddings).max() > 0.1
    words, year, image = layer.features
    words.assign(np.where(shown[:, 1:2], words, 7))
    year.assign(np.where(shown[:, 2:3], year, 99.0))
    image.assign(np.where(shown[:, 3:], image, -99.0))
    layer.own.assign(np.where(shown[:, :1], layer.own, 50.0))
    np.testing.assert_array_equal(layer.embeddings, before)
    layer.show(np.ones_like(shown))
    np.testing.assert_array_equal(layer.shown, told.present)


def test_items_in_another_order_have_their_rows_in_that_order() -> None:
    told, order = random_modalities(), np.random.default_rng(2).permutation(12)
    moved = replace(
        told,
        bags={name: bag[order] for name, bag in told.bags.items()},
        vectors={name: rows[order] for name, rows in told.vectors.items()},
        present=told.present[order],
        known=told.known[order],
    )
    one, other = random_layer(told), random_layer(moved)
    other.own.assign(np.asarray(one.own)[order])
    np.testing.assert_allclose(other.embeddings, np.asarray(one.embeddings)[order], atol=1e-6)


@given(st.lists(st.integers(1, 7), max_size=4), st.integers(0, 3), st.randoms())
@settings(max_examples=25, deadline=None)
def test_padding_of_a_bag_changes_nothing(codes: list[int], more: int, random: object) -> None:
    keras.utils.set_random_seed(0)
    bag = Bag(7, 4)
    padded = codes + [0] * (more + 1)
    random.shuffle(padded)  # type: ignore[attr-defined]
    table = np.asarray(bag.table, np.float64)
    expected = sum((table[c - 1] for c in codes), np.zeros(4)) / max(len(codes), 1) ** 0.5
    np.testing.assert_allclose(bag(np.array([padded], np.int32))[0], expected, atol=1e-5)


def fused_model(modalities: Modalities | None, **more: object) -> InterestMigrationModel:
    keras.utils.set_random_seed(0)
    model = InterestMigrationModel(small_catalogue(), modalities, units=8, heads=2, max_length=16, **more)
    if model.fused is not None:
        rng = np.random.default_rng(0)
        model.fused.direction.assign(rng.normal(size=model.fused.direction.shape))
    model.item_bias.assign(np.random.default_rng(1).normal(size=12))
    return model


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    model = fused_model(random_modalities())
    model.save(tmp_path / "m.keras")
    back = load_model(tmp_path / "m.keras")
    histories = random_histories(model.catalogue, [0, 3, 9])
    np.testing.assert_array_equal(back.score(histories), model.score(histories))
    np.testing.assert_array_equal(back.fused.present, model.fused.present)
    assert back.fused.modalities == ("id", "text", "numbers", "image")


def test_known_by_the_id_alone_it_is_the_plain_model() -> None:
    plain = fused_model(None)
    fused = fused_model(random_modalities(known=12).keep("id"))
    fused.fused.own.assign(plain.embedding.item.embeddings)
    steps = ("encoder", "attention", "interest_points", "item_query", "current_interest", "migration_matrix")
    places = ("scenario", "behaviour", "gap")
    pairs = [(getattr(plain, name), getattr(fused, name)) for name in steps]
    pairs += [(getattr(plain.embedding, name), getattr(fused.embedding, name)) for name in places]
    for one, other in pairs:
        other.set_weights(one.get_weights())
    histories = random_histories(plain.catalogue, [0, 1, 7])
    np.testing.assert_allclose(fused.score(histories), plain.score(histories), atol=1e-6)


def test_event_after_event_it_says_what_it_says_of_the_whole() -> None:
    model = fused_model(random_modalities())
    names, one = model.catalogue, random_histories(model.catalogue, [6])
    session = Session(model)
    state = session.start(one.profile[0])
    for event in range(6):
        named = Event(
            names.items[one.item[event]],
            names.scenarios[one.scenario[event]],
            names.behaviours[one.behaviour[event]],
            int(one.time[event]),
        )
        state = session.step(state, named)
    scenario = names.scenarios[one.request_scenario[0]]
    alone = session.score(state, scenario, int(one.request_time[0]))
    np.testing.assert_allclose(alone, model.score(one)[0], atol=1e-5)


def test_new_items_are_not_on_offer_while_it_learns_and_are_afterwards() -> None:
    model = fused_model(random_modalities(known=9))
    batch = inputs(random_histories(model.catalogue, [6] * 8), 16)
    batch["item"] %= 9
    target = np.concatenate([batch["item"], batch["item"][:, :1]], axis=1)

    def learn() -> tuple[float, list[np.ndarray]]:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(batch, target, model(batch))
        gradients = tape.gradient(loss, [model.item_bias, model.fused.own])
        return float(loss), [np.asarray(tf.convert_to_tensor(g)) for g in gradients]

    before, (bias, own) = learn()
    assert np.abs(bias[9:]).max() < 1e-12
    assert np.abs(bias[:9]).min() > 1e-6
    assert np.abs(own[9:]).max() < 1e-12
    image = np.asarray(model.fused.features[2]).copy()
    image[9:] *= -1
    model.fused.features[2].assign(image)
    assert learn()[0] == pytest.approx(before, abs=1e-6)
    # The bias of an item is known by its id: a new one has none.
    np.testing.assert_array_equal(np.asarray(model.biases())[9:], 0)
    chance = np.exp(model.score(random_histories(model.catalogue, [4])))
    assert chance[0, 9:].min() > 1e-6
    assert chance.sum() == pytest.approx(1, abs=1e-4)


def test_modalities_of_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="describe 5 items, the catalogue holds 12"):
        InterestMigrationModel(small_catalogue(), random_modalities(5, 5), units=8, heads=2)
