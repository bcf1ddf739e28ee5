"""The written-out GRU is Keras' GRU, forward and backward."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from imtlib.layers.gru import GRU


def _pair(width: int, units: int) -> tuple[GRU, keras.layers.GRU]:
    """Ours and Keras', with the same weights, of which no bias is zero."""
    ours, theirs = (cls(units, return_sequences=True) for cls in (GRU, keras.layers.GRU))
    rng = np.random.default_rng(3)
    for layer in (ours, theirs):
        layer.build((None, None, width))
    weights = [0.5 * rng.normal(size=weight.shape) for weight in ours.weights]
    for layer in (ours, theirs):
        layer.set_weights(weights)
    return ours, theirs


def _states_and_gradients(layer: keras.layers.Layer, *arrays: np.ndarray) -> list[np.ndarray]:
    """States, then the gradients of a weighted sum of them: of x, h0, kernel, recurrent kernel and biases."""
    x, h0, weight = (tf.constant(array, tf.float32) for array in arrays)

    @tf.function
    def both(x: tf.Tensor, h0: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([x, h0])
            states = layer(x, initial_state=h0)
            total = tf.reduce_sum(states * weight)
        return [states, *tape.gradient(total, [x, h0, *(one.value for one in layer.trainable_weights)])]

    return [np.asarray(one) for one in both(x, h0)]


@pytest.mark.parametrize(
    ("batch", "steps", "width", "units"), [(3, 7, 5, 4), (1, 1, 2, 3), (2, 40, 6, 6), (5, 2, 1, 1)]
)
def test_states_and_gradients_are_those_of_keras(batch: int, steps: int, width: int, units: int) -> None:
    rng = np.random.default_rng(steps)
    arrays = [
        rng.normal(size=shape) for shape in ((batch, steps, width), (batch, units), (batch, steps, units))
    ]
    ours, theirs = (_states_and_gradients(layer, *arrays) for layer in _pair(width, units))
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def test_one_graph_serves_all_lengths() -> None:
    ours, theirs = _pair(3, 4)
    run = tf.function(lambda x: ours(x), input_signature=[tf.TensorSpec((None, None, 3))])
    rng = np.random.default_rng(0)
    for batch, steps in ((2, 5), (4, 1), (1, 9)):
        x = tf.constant(rng.normal(size=(batch, steps, 3)), tf.float32)
        np.testing.assert_allclose(run(x), theirs(x), rtol=1e-5, atol=1e-6)
    assert run.experimental_get_tracing_count() == 1


def test_a_gpu_has_the_loop_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = _pair(3, 4)
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 3)), tf.float32)
    monkeypatch.setattr("imtlib.layers.gru.gru_states", None)  # not to be called
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a GPU"])
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-6)


def test_a_mask_is_heeded() -> None:
    ours, theirs = _pair(3, 4)
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 3)), tf.float32)
    mask = tf.constant([[True] * 3 + [False] * 2, [True] * 5])
    np.testing.assert_allclose(ours(x, mask=mask), theirs(x, mask=mask), rtol=1e-5, atol=1e-6)
    assert np.abs(ours(x, mask=mask) - ours(x)).max() > 0.01
