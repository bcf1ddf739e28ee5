"""The mixture's likelihood and its gradient, a chunk of rows at a time: no table of all logits is held.

With the responsibility $w_{y'} \\propto \\bar\\pi(y') / Z_{y'}$ over $y' \\in G(i)$ of the target i,

$$-\\frac{\\partial \\log p(i)}{\\partial l_j} =
\\sum_{y'} w_{y'} \\frac{[y' \\in G(j)]\\, e^{l_j}}{Z_{y'}} - [j = i], \\qquad
\\frac{\\partial \\log p(i)}{\\partial \\bar\\pi(y')} = \\frac{w_{y'}}{\\bar\\pi(y')}:$$

a softmax within each interest, weighted by how much the interest has to do with the target. With a single
interest it is the softmax p over the catalogue, and $p_j - [j = i]$. All come out of the same pass as the
likelihood, while the rows are still in the processor's cache. Written in TensorFlow, whose loops and custom
gradients this needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf
from jaxtyping import Float, Float32, Int

from imtlib.recommendation import DEPTH
from imtlib.types import Tensor

ROWS = 512
"""tuple[Tensor, ...] a chunk, at most: with a few thousand items, its logits fit in a processor's cache."""


def product(
    one: Float[Tensor, "_ _"], other: Float[Tensor, "_ _"], precision: str, **transpose: bool
) -> Float32[Tensor, "_ _"]:
    """Multiply two matrices, rounded to a precision.

    Args:
        one, other: the factors.
        precision: `"float32"`, or `"bfloat16"`: a third of the digits, multiplied in about half the time
            by some processors, and more slowly by others.
        transpose: `transpose_a` or `transpose_b`, as `tf.matmul` has them.
    """
    found = tf.matmul(tf.cast(one, precision), tf.cast(other, precision), **transpose)
    return tf.cast(found, "float32")


def total_log_p(
    query: Float[Tensor, "n d"],
    interest: Float[Tensor, "n K"],
    embeddings: Float[Tensor, "N d"],
    bias: Float[Tensor, " N"],
    item_interests: Float[Tensor, "N K"],
    target: Int[Tensor, " n"],
    precision: str = "float32",
) -> Float[Tensor, ""]:
    """Sum log p of the target over rows: `target_through_interests` in chunks, with its own gradient.

    Args:
        query: $g$.
        interest: $\\bar\\pi_T$, rows that sum to one.
        embeddings: E.
        bias: b.
        item_interests: G, zeros and ones; neither an empty row nor an empty column.
        target: codes.
        precision: of the products over the catalogue, `"float32"` or `"bfloat16"`: see `product`.

    Returns:
        The sum, in nats.
    """

    def rule(logits: Tensor, i: Tensor, place: Tensor, weight: Tensor, pi: Tensor) -> tuple[Tensor, ...]:
        logits = tf.maximum(logits - tf.reduce_max(logits, axis=1, keepdims=True), -DEPTH)
        powers = tf.exp(logits)
        z = tf.matmul(powers, item_interests)
        share = pi / z * tf.gather(item_interests, i)
        likelihood = tf.reduce_sum(share, axis=1) + 1e-37
        log_p = tf.gather(tf.reshape(logits, [-1]), place) + tf.math.log(likelihood)
        w = share * (weight / likelihood)[:, None]
        expected = powers * tf.matmul(w / z, item_interests, transpose_b=True)
        return log_p, expected, tf.ones_like(weight), w / tf.maximum(pi, 1e-37)

    return _summed(rule, query, interest, embeddings, bias, target, precision)


def softmax_log_p(
    query: Float[Tensor, "n d"],
    embeddings: Float[Tensor, "N d"],
    bias: Float[Tensor, " N"],
    target: Int[Tensor, " n"],
    precision: str = "float32",
) -> Float[Tensor, ""]:
    """Sum log p of the target by a softmax over the catalogue: `total_log_p` without interests."""

    def rule(logits: Tensor, i: Tensor, place: Tensor, weight: Tensor, pi: Tensor) -> tuple[Tensor, ...]:
        p = tf.nn.softmax(logits)
        return tf.math.log(tf.gather(tf.reshape(p, [-1]), place) + 1e-37), p, weight, pi

    return _summed(rule, query, tf.zeros((tf.shape(query)[0], 0)), embeddings, bias, target, precision)


def _summed(
    rule: Callable[..., tuple[Tensor, ...]],
    query: Float[Tensor, "n d"],
    interest: Float[Tensor, "n K"],
    embeddings: Float[Tensor, "N d"],
    bias: Float[Tensor, " N"],
    target: Int[Tensor, " n"],
    precision: str,
) -> Float[Tensor, ""]:
    """Sum log p over rows, with its gradient.

    Args:
        rule: of a chunk of m rows. It is given the logits, float `(m, N)`; the targets, and their places in
            the logits counted through, int `(m,)`; the rows' weights, 0 for one that only fills up; and their
            interests. It gives log p, float `(m,)`; what was expected, float `(m, N)`, and the factor of each
            of its rows, `(m,)`; and the gradient of the interests. With respect to the logits, the gradient
            is the target's one less expected times factor.
        query, interest, embeddings, bias, target, precision: as for `total_log_p`.
    """

    @tf.custom_gradient
    def total(*parts: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
        return _total_and_gradient(rule, parts, target, precision)

    return total(query, interest, embeddings, bias)


def _total_and_gradient(
    rule: Callable[..., tuple[Tensor, ...]], parts: tuple[Tensor, ...], target: Tensor, precision: str
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
    query, interest, embeddings, bias = parts
    rows = tf.shape(query)[0]
    chunks = tf.maximum(-(-rows // ROWS), 1)
    # Alike in size: a last one that is filled up would be computed for nothing.
    size = tf.maximum(-(-rows // chunks), 1)
    spare = chunks * size - rows
    real = tf.pad(tf.ones(rows), [[0, spare]])
    query_, interest_ = tf.pad(query, [[0, spare], [0, 0]]), tf.pad(interest, [[0, spare], [0, 0]])
    target_ = tf.pad(target, [[0, spare]])
    # A row's place in the logits counted through: gathered so, and not row by row, which is slow.
    first = tf.range(size) * tf.shape(bias)[0]
    multiply = partial(product, precision=precision)

    def chunk(k: Tensor, total: Tensor, d_e: Tensor, d_b: Tensor, d_q: Tensor, d_i: Tensor) -> Any:
        part = slice(k * size, (k + 1) * size)
        q, i, weight = query_[part], target_[part], real[part]
        logits = multiply(q, embeddings, transpose_b=True) + bias
        log_p, expected, factor, d_interest = rule(logits, i, first + i, weight, interest_[part])
        # The target's own [j = i] is one row of E a row: cheaper added apart than as a dense one-hot.
        d_query = (
            tf.gather(embeddings, i) * weight[:, None] - multiply(expected, embeddings) * factor[:, None]
        )
        d_embeddings = tf.tensor_scatter_nd_add(
            d_e - multiply(expected, q * factor[:, None], transpose_a=True), i[:, None], q * weight[:, None]
        )
        d_bias = tf.tensor_scatter_nd_add(d_b - tf.linalg.matvec(expected, factor, True), i[:, None], weight)
        total += tf.reduce_sum(log_p * weight)
        return k + 1, total, d_embeddings, d_bias, d_q.write(k, d_query), d_i.write(k, d_interest)

    slots = [tf.TensorArray(tf.float32, chunks, element_shape=(None, x.shape[1])) for x in (query, interest)]
    state = (0, 0.0, tf.zeros_like(embeddings), tf.zeros_like(bias), *slots)
    done = tf.while_loop(lambda k, *_: k < chunks, chunk, state, parallel_iterations=1)
    _, total, d_e, d_b, d_q, d_i = done
    d_q, d_i = d_q.concat()[:rows], d_i.concat()[:rows]

    def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
        return tuple(upstream * part for part in (d_q, d_i, d_e, d_b))

    return total, gradient
