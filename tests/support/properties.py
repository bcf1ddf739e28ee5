"""The model's properties as checks that raise: the tests call them on what is right, and on mutants."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops
from support.worlds import random_histories

from imtlib.data.histories import Histories
from imtlib.data.inputs import Arrays, inputs
from imtlib.layers.ops import real_events
from imtlib.model import InterestMigrationModel

TOLERANCE = 1e-5
LENGTHS = [9, 4, 0, 7]


def a_layer(kind: type[keras.layers.Layer]) -> keras.layers.Layer:
    """A fresh attention of four heads, built."""
    keras.utils.set_random_seed(5)
    layer = kind(units=16, heads=4)
    layer(np.zeros((1, 3, 16), np.float32), np.ones((1, 2), bool))
    return layer


def a_batch(model: InterestMigrationModel) -> Arrays:
    return inputs(random_histories(model.catalogue, LENGTHS), model.max_length)


def eager_scores(model: InterestMigrationModel, histories: Histories) -> np.ndarray:
    """What `score` says, without the graph, which takes seconds to trace for a model that is asked once."""
    return np.asarray(model._ends(inputs(histories, model.max_length))["log_p"])


def numbers(outputs: dict[str, object]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in outputs.items()}


def assert_close(left: np.ndarray, right: np.ndarray) -> None:
    assert np.isfinite([left, right]).all(), "not every number is finite"
    np.testing.assert_allclose(left, right, rtol=TOLERANCE, atol=TOLERANCE)


def future_never_reaches_past(model: InterestMigrationModel) -> None:
    """Changing event t leaves every output before t unchanged."""
    batch = a_batch(model)
    before = numbers(model(batch))
    for t in (1, 4, 8):
        changed = {name: values.copy() for name, values in batch.items()}
        for name in ("item", "scenario", "behaviour", "gap"):
            changed[name][:, t] = (changed[name][:, t] + 1) % 2
        after = numbers(model(changed))
        for name, values in before.items():
            assert_close(values[:, : t + 1], after[name][:, : t + 1])
        assert np.abs(before["query"][0, t + 1] - after["query"][0, t + 1]).max() > 1e-3


def at_positions_equals_whole(model: InterestMigrationModel) -> None:
    """What attention says of chosen positions is what it says of all, before any event and in padding too."""
    batch = a_batch(model)
    states, real = model.states(batch), real_events(batch)
    whole = np.asarray(model.attention(states, real))
    rng = np.random.default_rng(7)
    position = np.minimum(rng.integers(0, whole.shape[1], (len(whole), 3)), batch["length"][:, None])
    position[:, 0] = 0
    found = np.asarray(model.attention.at(states, real, position.astype(np.int32)))
    assert_close(found, np.take_along_axis(whole, position[..., None], axis=1))


def large_later_scores_change_nothing(layer: keras.layers.Layer) -> None:
    """The same, when a later attention score is larger by about 100 than all before it."""
    rng = np.random.default_rng(3)
    states = rng.normal(size=(2, 9, 16)).astype(np.float32)
    real = np.ones((2, 8), bool)
    layer.query.assign(layer.query * 100)
    try:
        scores = np.asarray(layer.scores(ops.concatenate([states[:, :-1], states[:, 1:]], axis=-1)))
        before = np.asarray(layer(states, real))
        # Turn the last event's state to where the first head's score is highest.
        best = states.copy()
        best[:, 8] = 20 * np.asarray(ops.matmul(layer.query[0], ops.transpose(layer.key.kernel[16:, :4])))
        raised = np.asarray(layer.scores(ops.concatenate([best[:, :-1], best[:, 1:]], axis=-1)))
        assert raised[0, 7, 0] - scores[0, :7, 0].min() > 100, "the test does not reach a gap of 100"
        assert_close(before[:, :8], np.asarray(layer(best, real))[:, :8])
    finally:
        layer.query.assign(layer.query / 100)


def padding_changes_nothing(model: InterestMigrationModel) -> None:
    """More padding, and other numbers in it, change no output at a real position."""
    batch = a_batch(model)
    wider = {
        name: np.pad(v, ((0, 0), (0, 5))) if v.ndim == 2 and name != "profile" else v
        for name, v in batch.items()
    }
    for row, length in enumerate(LENGTHS):
        wider["item"][row, length:] = 3
        wider["gap"][row, length:] = 9
    before, after = numbers(model(batch)), numbers(model(wider))
    for name, values in before.items():
        for row, length in enumerate(LENGTHS):
            assert_close(values[row, : length + 1], after[name][row, : length + 1])


def weights_are_of_the_past(model: InterestMigrationModel) -> None:
    """Attention weights sum to one over the past, and are zero elsewhere."""
    batch = a_batch(model)
    weights = np.asarray(model.attention.attention_weights(model.states(batch), real_events(batch)))
    for row, length in enumerate(LENGTHS):
        assert np.abs(weights[row, :, 0]).max() == 0, "there is nothing before the first event"
        for t in range(1, length + 1):
            assert_close(weights[row, :, t, :t].sum(axis=-1), np.ones(weights.shape[1]))
            assert np.abs(weights[row, :, t, t:]).max(initial=0) == 0, "a weight on the future"


def sums_are_one(model: InterestMigrationModel) -> None:
    """Item probabilities, beliefs and transition rows each sum to one."""
    histories = random_histories(model.catalogue, LENGTHS)
    found = model.outputs(histories, ("log_p", "belief", "matrix", "next_interest"))
    found["log_p"] = np.exp(found["log_p"])
    for values in found.values():
        assert values.min() >= 0
        assert_close(values.sum(axis=-1), np.ones(values.shape[:-1]))


def rows_are_mixed_not_averaged(model: InterestMigrationModel) -> None:
    """The next interest is the belief's mixture of rows: in NumPy, in float64."""
    found = numbers(model(a_batch(model)))
    by_hand = np.einsum("bty,btyk->btk", found["belief"], found["matrix"], dtype=np.float64)
    assert_close(found["next_interest"], by_hand)


def attention_equals_definition(layer: keras.layers.Layer) -> None:
    """Contexts equal their definition, written as loops in NumPy, in float64."""
    rng = np.random.default_rng(4)
    states = rng.normal(size=(2, 7, 16)).astype(np.float32)
    real = np.arange(6)[None] < np.array([[6], [4]])
    found = np.asarray(layer(states, real))
    key, value = np.asarray(layer.key.kernel, np.float64), np.asarray(layer.value.kernel, np.float64)
    heads, width = layer.heads, layer.units // layer.heads
    for row, length in enumerate((6, 4)):
        for now in range(length + 1):
            expected = np.zeros(layer.units)
            pairs = [np.concatenate([states[row, t - 1], states[row, t]]) for t in range(1, now + 1)]
            for head in range(heads if pairs else 0):
                part = slice(head * width, (head + 1) * width)
                if isinstance(layer.query, keras.layers.Dense):
                    query = (states[row, now] @ np.asarray(layer.query.kernel, np.float64))[part] / np.sqrt(
                        width
                    )
                else:
                    query = np.asarray(layer.query, np.float64)[head]
                scores = np.array([query @ np.tanh(p @ key)[part] for p in pairs])
                weights = np.exp(scores - scores.max())
                weights /= weights.sum()
                expected[part] = sum(w * (p @ value)[part] for w, p in zip(weights, pairs, strict=True))
            assert_close(found[row, now], expected)
