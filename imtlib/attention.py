"""Step 2, attention over migrations (注意力机制): which shifts of interest matter now.

A migration is the pair $p_t = [h_{t-1}; h_t]$. For each head,

$$\\alpha_{T,t} = \\operatorname*{softmax}_{t \\le T}\\; q_T \\cdot \\tanh(W p_t), \\qquad
c_T = \\sum_{t \\le T} \\alpha_{T,t} V p_t,$$

and the heads' contexts are set side by side. The three layers differ in their query $q_T$ alone:
a learned constant, a query from the present state, or Keras' scaled dot product of states.
All have one interface: states $h_0 … h_T$ in, contexts $c_0 … c_T$ out, and `attention_weights` on request.
In the shapes, B histories have T events and L = T + 1 positions: before the first event and after each.
"""

from __future__ import annotations

from typing import Any

import keras
from jaxtyping import Bool, Float, Int
from keras import ops

from imtlib.layers.attention_controls import Attention, NoAttention, SelfAttention, visible
from imtlib.layers.ops import (
    MASKED_SCORE,
    Parts,
    masked_softmax,
    merge_heads,
    prefix_scan,
    split_heads,
    time_slice,
)
from imtlib.types import Shape, Tensor


def migrations(states: Float[Tensor, "B L d"]) -> Float[Tensor, "B L-1 2*d"]:
    """Pair each state with the one before it, $p_t = [h_{t-1}; h_t]$ for t = 1 … T.

    The article pairs $h_t$ with $h_{t+1}$; shifted by one, nothing reaches into the future.
    """
    time = ops.shape(states)[1] - 1
    return ops.concatenate([time_slice(states, 0, time), time_slice(states, 1, time)], axis=-1)


def scaled(scores: Float[Tensor, "*n"], width: int) -> Float[Tensor, "*n"]:
    """Divide scores of vectors of one head's width by its square root (Vaswani et al., 2017)."""
    return scores / width**0.5


def combine(left: Parts, right: Parts) -> Parts:
    """Join two spans of a softmax-weighted sum: (maximum, numerator, denominator) of each.

    The maximum travels with its sums, so that a later, larger score rescales what came before it
    and is never seen by an earlier position.
    """
    (m1, n1, d1), (m2, n2, d2) = left, right
    # The result does not depend on the maximum; stopping its gradient keeps the derivative exact.
    m = ops.stop_gradient(ops.maximum(m1, m2))
    a, b = ops.exp(m1 - m), ops.exp(m2 - m)
    return m, n1 * a[..., None] + n2 * b[..., None], d1 * a + d2 * b


class _MigrationAttention(Attention):
    """What the two attentions over migrations share: keys $\\tanh(W p)$ and values $V p$, by heads."""

    def __init__(self, units: int, heads: int, **kwargs: Any) -> None:
        super().__init__(units, heads, **kwargs)
        self.key = keras.layers.Dense(units, activation="tanh", use_bias=False, name="key")
        self.value = keras.layers.Dense(units, use_bias=False, name="value")

    def build(self, input_shape: Shape) -> None:
        """Make W and V, of the width of a pair."""
        self.key.build((None, None, 2 * self.units))
        self.value.build((None, None, 2 * self.units))


@keras.saving.register_keras_serializable("imtlib")
class ConstantQueryAttention(_MigrationAttention):
    """Attention over migrations with a learned constant query a head: running sums, linear in the length.

    The ratio of two weights never depends on T. So this attention marks what is salient in itself,
    and cannot point at the cause that is due now.

    Args:
        units: width d of states and contexts.
        heads: how many queries; must divide `units`.
    """

    def build(self, input_shape: Shape) -> None:
        """Make the queries, `(heads, d / heads)`."""
        super().build(input_shape)
        self.query = self.add_weight(
            shape=(self.heads, self.units // self.heads), initializer="glorot_uniform", name="query"
        )

    def scores(self, pairs: Float[Tensor, "B T {2*self.units}"]) -> Float[Tensor, "B T {self.heads}"]:
        """Score migrations, $q \\cdot \\tanh(W p_t)$ for each head."""
        keys = split_heads(self.key(pairs), self.heads)
        return ops.transpose(ops.einsum("bhtw,hw->bht", keys, self.query), (0, 2, 1))

    def call(self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"]) -> Float[Tensor, "B L d"]:
        """Sum up the past of every position.

        Args:
            states: $h_0 … h_T$.
            real: which of the T events are not padding.

        Returns:
            $c_0 … c_T$; $c_0$ is zero.
        """
        pairs = migrations(states)
        parts = self._elements(pairs, ops.where(real[..., None], self.scores(pairs), MASKED_SCORE))
        _, numerator, denominator = prefix_scan(combine, parts, self.start(states[:, :1]))
        context = numerator / denominator[..., None]
        context = ops.reshape(context, (ops.shape(states)[0], ops.shape(real)[1], self.units))
        return ops.pad(context, ((0, 0), (1, 0), (0, 0)))

    def at(
        self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"], position: Int[Tensor, "B P"]
    ) -> Float[Tensor, "B P d"]:
        """Compute what `call` returns at chosen positions alone: by the definition, with no sums on the way.

        Args:
            states, real: as for `call`.
            position: P positions of each row, from 0.
        """
        pairs = migrations(states)
        scores = ops.transpose(self.scores(pairs), (0, 2, 1))
        weights = masked_softmax(scores[:, :, None, :], visible(real, position)[:, None])
        return merge_heads(ops.matmul(weights, split_heads(self.value(pairs), self.heads)))

    def _elements(self, pairs: Float[Tensor, "B T p"], scores: Float[Tensor, "B T h"]) -> Parts:
        value = ops.transpose(split_heads(self.value(pairs), self.heads), (0, 2, 1, 3))
        return scores, value, ops.ones_like(scores)

    def start(self, like: Float[Tensor, "B ..."]) -> Parts:
        """Give the running sums before any event: maximum, numerator, denominator, for a batch as `like`."""
        batch = ops.shape(like)[0]
        none = ops.zeros((batch, 1, self.heads))
        return none + MASKED_SCORE, ops.zeros((batch, 1, self.heads, self.units // self.heads)), none

    def step(
        self, before: Float[Tensor, "B d"], state: Float[Tensor, "B d"], sums: Parts
    ) -> tuple[Float[Tensor, "B d"], Parts]:
        """Go one event further: $h_{t-1}$, $h_t$ and the sums up to t − 1 give $c_t$ and the sums up to t."""
        pair = migrations(ops.stack([before, state], axis=1))
        sums = combine(sums, self._elements(pair, self.scores(pair)))
        context = sums[1] / sums[2][..., None]
        return ops.reshape(context, (ops.shape(state)[0], self.units)), sums

    def attention_weights(
        self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"]
    ) -> Float[Tensor, "B {self.heads} L L-1"]:
        """Compute $\\alpha_{T,t}$ by the definition."""
        scores = ops.transpose(self.scores(migrations(states)), (0, 2, 1))
        return masked_softmax(scores[:, :, None, :], visible(real)[:, None])


@keras.saving.register_keras_serializable("imtlib")
class StateQueryAttention(_MigrationAttention):
    """Attention over migrations with a query from the present state, as NARM has it: it can point.

    $q_T = Q h_T$, and scores are divided by the root of a head's width. Time and memory are quadratic.
    Source: Li et al., Neural Attentive Session-based Recommendation, CIKM 2017.

    Args:
        units: width d of states and contexts.
        heads: how many queries; must divide `units`.
    """

    def build(self, input_shape: Shape) -> None:
        """Make the query's projection."""
        super().build(input_shape)
        self.query = keras.layers.Dense(self.units, use_bias=False, name="query")
        self.query.build((None, None, self.units))

    def call(self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"]) -> Float[Tensor, "B L d"]:
        """Sum up the past of every position, as `ConstantQueryAttention.call` does."""
        values = split_heads(self.value(migrations(states)), self.heads)
        return merge_heads(ops.matmul(self.attention_weights(states, real), values))

    def attention_weights(
        self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"]
    ) -> Float[Tensor, "B {self.heads} L L-1"]:
        """Compute $\\alpha_{T,t}$; each row sums to one over the past."""
        queries = split_heads(self.query(states), self.heads)
        keys = split_heads(self.key(migrations(states)), self.heads)
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2)))
        return masked_softmax(scaled(scores, self.units // self.heads), visible(real)[:, None])


ATTENTIONS: dict[str, type[Attention]] = {
    "constant": ConstantQueryAttention,
    "state": StateQueryAttention,
    "self": SelfAttention,
    "none": NoAttention,
}
"""By name: the three readings of the article's formula, and their control."""
