"""What is known of items is told as it is; what is missing or hidden changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support.worlds import random_histories, small_catalogue

from imtlib.checkpoints import load_model
from imtlib.data.inputs import inputs
from imtlib.data.item_features import Modalities, describe
from imtlib.data.log import BehaviourLog
from imtlib.data.queries import Event
from imtlib.data.reader import read_log
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import LogError, ModelFileError
from imtlib.layers.item_fusion import Bag, FusedItems
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.streaming import Session
from imtlib.training.modality_dropout import hidden_at_random
from imtlib.training.trainer import fit

TITLES = ["The Red House (1990)", "Red, red sea", "2001: A House (1968)", "", "Blue sea", "Seven"]


def films() -> BehaviourLog:
    """Six films: the second has no year, the fourth no title, the fifth no genre; the last nobody watched."""
    items = pd.DataFrame(
        {
            "item": list("abcdef"),
            "title": TITLES,
            "year": [1990, None, 1968, 2000, 2000, 1980],
            "interests": ["war", "war art", "art", "war", "", "art"],
        }
    )
    events = pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": list("abcde"), "time": [1, 2, 3, 1, 2]}).assign(
        scenario="cinema", behaviour="watch"
    )
    events = pd.concat([events, events.assign(user=3, item="f")[:1]])
    log = read_log(events, items=items, interest_separator=" ")
    return log.filter(np.array(log.catalogue.items)[log.item] != "f")


def given_of(catalogue_size: int = 12, known: int = 10, seed: int = 3) -> Modalities:
    """Made-up modalities of twelve items, each missing here and there; the last items have no id."""
    rng = np.random.default_rng(seed)
    n = catalogue_size
    present = rng.random((n, 4)) < 0.8
    present[:, 0] = np.arange(n) < known
    present[~present.any(axis=1), 3] = True
    words = np.where(present[:, 1:2], np.maximum(rng.integers(-2, 8, (n, 5)), 0), 0)
    words[present[:, 1] & (words == 0).all(axis=1), 2] = 1
    image = np.where(present[:, 3:], rng.normal(size=(n, 6)), 0).astype(np.float32)
    year = np.where(present[:, 2:3], rng.normal(size=(n, 2)), 0).astype(np.float32)
    return Modalities(
        {"text": words.astype(np.int32)},
        {"text": tuple("abcdefg")},
        {"numbers": year, "image": image},
        present,
        np.arange(n) < known,
    )


def random_layer(modalities: Modalities, units: int = 8, seed: int = 0) -> FusedItems:
    """A layer whose gates are not even."""
    keras.utils.set_random_seed(seed)
    layer = FusedItems.of(modalities, units)
    rng = np.random.default_rng(seed)
    layer.direction.assign(rng.normal(size=layer.direction.shape))
    layer.opening.assign(rng.normal(size=layer.opening.shape))
    return layer


def test_describe_tells_words_numbers_and_interests_as_they_are() -> None:
    log = films()
    found = describe(log, text=["title"], numbers=["year"])
    assert found.names == ("id", "text", "interests", "numbers")
    words = found.vocabularies["text"]
    assert set(words) == {"red", "house", "sea"}  # in two known titles each; "1990" is no word
    told = [{words[c - 1] for c in row if c} for row in found.bags["text"]]
    assert told == [{"red", "house"}, {"red", "sea"}, {"house"}, set(), {"sea"}, set()]
    kinds = found.vocabularies["interests"]
    held = [{kinds[c - 1] for c in row if c} for row in found.bags["interests"]]
    assert held == [{"war"}, {"war", "art"}, {"art"}, {"war"}, set(), {"art"}]
    value, flag = found.vectors["numbers"].T
    assert flag.tolist() == [1, 0, 1, 1, 1, 1]
    known = value[flag > 0]
    assert known.mean() == pytest.approx(0, abs=1e-6)
    assert known.std() == pytest.approx(1, abs=1e-6)
    assert value[1] == 0
    assert found.known.tolist() == [True] * 5 + [False]
    expected = [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [0, 0, 1, 1]]
    np.testing.assert_array_equal(found.present, np.array(expected, bool))


def test_words_of_new_items_alone_are_not_learnt() -> None:
    log = films()
    everywhere = describe(log, text=["title"], least=1)
    assert "seven" not in everywhere.vocabularies["text"]
    assert "2001" in everywhere.vocabularies["text"]


def test_describe_reads_signs_of_a_script_without_spaces() -> None:
    log = films()
    titles = log.item_features.assign(title=["红房子", "红海", "房子", "海", "海", "红"])
    found = describe(replace(log, item_features=titles), text=["title"], split="character")
    assert set(found.vocabularies["text"]) == set("红房子海")


def test_keep_leaves_out_the_rest() -> None:
    whole = describe(films(), text=["title"], numbers=["year"])
    some = whole.keep("id", "numbers")
    assert some.names == ("id", "numbers")
    np.testing.assert_array_equal(some.present, whole.present[:, [0, 3]])
    content = whole.keep("text")
    assert not content.present[:, 0].any()
    assert content.known.tolist() == whole.known.tolist()
    assert whole.present[:5, 0].all()  # what it was made from is not changed
    with pytest.raises(ValueError, match="no modality 'picture'"):
        whole.keep("picture")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"text": ["titel"]}, "no feature 'titel': there are 'title', 'year'"),
        ({"numbers": ["title"]}, "'title' is not of numbers"),
        ({"text": ["title"], "least": 9}, "no word occurs in 9 items"),
        ({"vectors": {"image": np.zeros((5, 2))}}, r"shape \(5, 2\), expected \(6, D\)"),
        ({"vectors": {"image": np.zeros(6)}}, r"shape \(6,\)"),
        (
            {"vectors": {"image": np.array([[0, 1.0]] * 5 + [[0, np.inf]])}},
            r"item 'f' \(row 5\) is not finite",
        ),
        (
            {"vectors": {"image": np.array([[0, 1.0]] * 5 + [[0, np.nan]])}},
            r"item 'f' \(row 5\) is not finite",
        ),
        ({"vectors": {"image": np.full((6, 2), np.nan)}}, "missing for every item"),
        ({"vectors": {"text": np.zeros((6, 2))}}, "name is taken"),
    ],
)
def test_what_cannot_be_described(asked: dict, says: str) -> None:
    with pytest.raises(LogError, match=says):
        describe(films(), **asked)


def test_a_number_that_is_not_finite() -> None:
    log = films()
    features = log.item_features.assign(year=[1, 2, 3, np.inf, 4, 5])
    with pytest.raises(LogError, match=r"'year' of item 'd' \(row 3\)"):
        describe(replace(log, item_features=features), numbers=["year"])


def test_given_vectors_may_be_missing() -> None:
    image = np.array([[1.0, 5], [np.nan, np.nan], [3, 1], [2, 3], [2, 3], [2, 3]])
    found = describe(films(), vectors={"image": image})
    assert found.present[:, -1].tolist() == [True, False, True, True, True, True]
    rows = found.vectors["image"]
    assert rows[1].tolist() == [0, 0]
    np.testing.assert_allclose(np.delete(rows, 1, axis=0).mean(axis=0), 0, atol=1e-6)
    assert np.mean(np.delete(rows, 1, axis=0) ** 2) == pytest.approx(1, abs=1e-5)


def test_the_layer_is_its_formula() -> None:
    told = given_of()
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
    told = given_of()
    layer = random_layer(told)
    gates = np.asarray(layer.gates(layer.parts()))
    np.testing.assert_allclose(gates.sum(axis=1), 1, atol=1e-6)
    assert (gates[~told.present] == 0).all()
    assert (gates[told.present] > 0).all()


def test_an_item_of_which_nothing_is_known_is_zero_and_harms_no_gradient() -> None:
    told = given_of()
    present = told.present.copy()
    present[4] = False
    layer = random_layer(replace(told, present=present))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer.embeddings**2)
    assert np.abs(layer.embeddings[4]).max() == 0
    for gradient in tape.gradient(total, layer.trainable_variables):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_what_is_missing_or_hidden_changes_nothing() -> None:
    told = given_of()
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
    told, order = given_of(), np.random.default_rng(2).permutation(12)
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


@given(st.integers(1, 40), st.integers(1, 5), st.floats(0, 0.95), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_hiding_leaves_every_item_something(items: int, many: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    present = rng.random((items, many)) < 0.7
    kept = hidden_at_random(present, share, rng)
    assert not (kept & ~present).any()
    np.testing.assert_array_equal(kept.any(axis=1), present.any(axis=1))
    if share == 0:
        np.testing.assert_array_equal(kept, present)


def test_the_share_that_is_hidden() -> None:
    kept = hidden_at_random(np.ones((5000, 4), bool), 0.3, np.random.default_rng(0))
    assert 1 - kept.mean() == pytest.approx(0.3, abs=0.01)


def small_model(modalities: Modalities | None, **more: object) -> InterestMigrationModel:
    keras.utils.set_random_seed(0)
    model = InterestMigrationModel(small_catalogue(), modalities, units=8, heads=2, max_length=16, **more)
    if model.fused is not None:
        rng = np.random.default_rng(0)
        model.fused.direction.assign(rng.normal(size=model.fused.direction.shape))
    model.item_bias.assign(np.random.default_rng(1).normal(size=12))
    return model


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    model = small_model(given_of())
    model.save(tmp_path / "m.keras")
    back = load_model(tmp_path / "m.keras")
    histories = random_histories(model.catalogue, [0, 3, 9])
    np.testing.assert_array_equal(back.score(histories), model.score(histories))
    np.testing.assert_array_equal(back.fused.present, model.fused.present)
    assert back.fused.modalities == ("id", "text", "numbers", "image")


def test_known_by_the_id_alone_it_is_the_plain_model() -> None:
    plain = small_model(None)
    fused = small_model(given_of(known=12).keep("id"))
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
    model = small_model(given_of())
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
    model = small_model(given_of(known=9))
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
        InterestMigrationModel(small_catalogue(), given_of(5, 5), units=8, heads=2)


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(simulate(users=48, events=12)[0])


class _Stops(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.model.optimizer.iterations == 7:
            raise KeyboardInterrupt


def test_hidden_and_resumed_is_the_same_to_the_bit(split: Split, tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(len(split.train.catalogue.items), 5))
    told = describe(split.train, vectors={"image": image})

    def new_model() -> InterestMigrationModel:
        keras.utils.set_random_seed(1)
        return InterestMigrationModel.for_log(split.train, told, units=8, heads=2, dropout=0.3)

    options = {
        "epochs": 3,
        "batch": 16,
        "learning_rate": 0.01,
        "max_validation_requests": 9,
        "progress": False,
    }
    whole = new_model()
    history = fit(whole, split, modality_dropout=0.4, **options)
    stopped = new_model()
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, split, modality_dropout=0.4, folder=tmp_path, callbacks=[_Stops()], **options)
    for model in (whole, stopped):
        np.testing.assert_array_equal(model.fused.shown, told.present)
    resumed = new_model()
    assert fit(resumed, split, modality_dropout=0.4, folder=tmp_path, **options) == history
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ModelFileError, match="run with other modality_dropout"):
        fit(new_model(), split, folder=tmp_path, **options)
    told = describe(split.train, vectors={"image": -image})
    with pytest.raises(ModelFileError, match="run with other modalities"):
        fit(new_model(), split, modality_dropout=0.4, folder=tmp_path, **options)


def test_hiding_needs_something_to_hide(split: Split) -> None:
    model = InterestMigrationModel.for_log(split.train, units=16)
    with pytest.raises(ValueError, match=r"modality_dropout=0\.3 has nothing to hide"):
        fit(model, split, modality_dropout=0.3)
    with pytest.raises(ValueError, match="modality_dropout=1 must be from 0 to below 1"):
        fit(model, split, modality_dropout=1)
