"""The likelihood in chunks, and its own gradient, are those that automatic differentiation finds."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from imtlib.losses.chunked_softmax import ROWS, softmax_log_p, total_log_p
from imtlib.prediction import item_logits
from imtlib.recommendation import target_through_interests


def examples(rows: int) -> tuple[dict[str, tf.Variable], tf.Tensor, tf.Tensor]:
    """What is learnt, G, and targets."""
    rng = np.random.default_rng(rows)
    held = rng.random((30, 4)) < 0.3
    held[np.arange(30), np.arange(30) % 4] = True
    target = tf.constant(rng.integers(0, 30, rows), tf.int32)
    shapes = {"query": (rows, 8), "belief": (rows, 4), "embeddings": (30, 8), "bias": (30,)}
    parts = {name: tf.Variable(rng.normal(size=shape).astype("f")) for name, shape in shapes.items()}
    return parts, tf.constant(held.astype("f")), target


def in_chunks(
    parts: dict[str, tf.Variable], interests: tf.Tensor, target: tf.Tensor, precision: str
) -> tf.Tensor:
    learnt = {name: tf.convert_to_tensor(value) for name, value in parts.items()}
    return total_log_p(
        learnt["query"],
        tf.nn.softmax(learnt["belief"]),
        learnt["embeddings"],
        learnt["bias"],
        interests,
        target,
        precision,
    )


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 7])
def test_value_and_gradient(rows: int) -> None:
    parts, interests, target = examples(rows)

    def chunks() -> tf.Tensor:
        return 0.5 * in_chunks(parts, interests, target, "float32")

    def whole() -> tf.Tensor:
        logits = item_logits(parts["query"], parts["embeddings"], parts["bias"])
        found = target_through_interests(logits, tf.nn.softmax(parts["belief"]), interests, target)
        return 0.5 * tf.reduce_sum(found)

    results = []
    for likelihood in (chunks, whole):
        with tf.GradientTape() as tape:
            value = likelihood()
        results.append((value, tape.gradient(value, list(parts.values()))))
    (value, gradient), (expected, reference) = results
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for name, one, other in zip(parts, gradient, reference, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4, err_msg=name)
        assert np.abs(other).max() > 1e-3


def test_a_batch_without_targets_has_no_gradient() -> None:
    parts, interests, target = examples(0)
    with tf.GradientTape() as tape:
        value = in_chunks(parts, interests, target, "float32")
    assert value == 0
    for gradient in tape.gradient(value, list(parts.values())):
        np.testing.assert_array_equal(gradient, 0)


def test_lower_precision_rounds_and_no_more() -> None:
    parts, interests, target = examples(2 * ROWS + 7)
    results = []
    for precision in ("float32", "bfloat16"):
        with tf.GradientTape() as tape:
            value = in_chunks(parts, interests, target, precision)
        results.append([value, *tape.gradient(value, list(parts.values()))])
    for full, low in zip(*results, strict=True):
        # Eight binary digits: products are off by a few thousandths, whatever the numbers.
        apart = np.linalg.norm(low - full) / np.linalg.norm(full)
        assert 1e-6 < apart < 0.01


@pytest.mark.parametrize("rows", [0, 1, ROWS - 1, 2 * ROWS + 7])
def test_the_softmax_is_the_mixture_of_a_single_interest(rows: int) -> None:
    parts, _, target = examples(rows)
    learnt = [parts[name] for name in ("query", "embeddings", "bias")]

    def chunks(query: tf.Tensor, embeddings: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return softmax_log_p(query, embeddings, bias, target)

    def mixture(query: tf.Tensor, embeddings: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return total_log_p(query, tf.ones((rows, 1)), embeddings, bias, tf.ones((30, 1)), target)

    def whole(query: tf.Tensor, embeddings: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        logits = item_logits(query, embeddings, bias)
        return -tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits))

    results = []
    for likelihood in (chunks, mixture, whole):
        with tf.GradientTape() as tape:
            value = 0.5 * likelihood(*(tf.convert_to_tensor(part) for part in learnt))
        results.append([value, *tape.gradient(value, learnt)])
    for ours, *others in zip(*results, strict=True):
        for other in others:
            np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-4)


def test_what_is_next_to_impossible_has_a_loss_and_a_gradient() -> None:
    query, embeddings = tf.constant([[1.0]]), tf.constant([[500.0], [0.0]])
    with tf.GradientTape() as tape:
        tape.watch(query)
        value = softmax_log_p(query, embeddings, tf.zeros(2), tf.constant([1]))
    assert -100 < value < -80
    np.testing.assert_allclose(tape.gradient(value, query), [[-500.0]])
