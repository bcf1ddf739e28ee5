"""Step 2, attention over migrations (注意力机制): which shifts of interest matter now.

A migration is the pair $p_t = [h_{t-1}; h_t]$. For each head,

$$\\alpha_{T,t} = \\operatorname*{softmax}_{t \\le T}\\; q_T \\cdot \\tanh(W p_t), \\qquad
c_T = \\sum_{t \\le T} \\alpha_{T,t} V p_t,$$

and the heads' contexts are set side by side. The three layers differ in their query $q_T$ alone:
a learned constant, a query from the present state, or Keras' scaled dot product of states.
All have one interface: states in, contexts out, and `attention_weights` on request.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from imtlib.layers.ops import MASKED_SCORE, Parts, masked_softmax, prefix_scan, time_slice
from imtlib.types import Tensor


def migrations(states: Tensor) -> Tensor:
    """Pairs $p_t = [h_{t-1}; h_t]$ for t = 1 … T: states `(B, T + 1, d)` give `(B, T, 2d)`.

    The article pairs $h_t$ with $h_{t+1}$; shifted by one, nothing reaches into the future.
    """
    time = ops.shape(states)[1] - 1
    return ops.concatenate([time_slice(states, 0, time), time_slice(states, 1, time)], axis=-1)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`(B, T, heads * w)` to `(B, heads, T, w)`."""
    batch, time, width = ops.shape(x)[0], ops.shape(x)[1], x.shape[-1]
    return ops.transpose(ops.reshape(x, (batch, time, heads, width // heads)), (0, 2, 1, 3))


def merge_heads(x: Tensor) -> Tensor:
    """`(B, heads, T, w)` to `(B, T, heads * w)`: the head axis moves back before the two are joined."""
    batch, heads, time, width = ops.shape(x)[0], x.shape[1], ops.shape(x)[2], x.shape[3]
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (batch, time, heads * width))


def scaled(scores: Tensor, width: int) -> Tensor:
    """Scores of vectors of one head's width, divided by its square root (Vaswani et al., 2017)."""
    return scores / width**0.5


def visible(real: Tensor) -> Tensor:
    """Which migration each position may see: t ≤ T, and real.

    Args:
        real: which of the T events are not padding, bool `(B, T)`.

    Returns:
        bool `(B, T + 1, T)`; the row of position 0, before any event, is empty.
    """
    time = ops.shape(real)[1]
    past = ops.arange(time + 1)[:, None] > ops.arange(time)[None, :]
    return ops.logical_and(past[None], real[:, None, :])


def combine(left: Parts, right: Parts) -> Parts:
    """Join two stretches of a softmax-weighted sum: (maximum, numerator, denominator) of each.

    The maximum travels with its sums, so that a later, larger score rescales what came before it
    and is never seen by an earlier position.
    """
    (m1, n1, d1), (m2, n2, d2) = left, right
    # The result does not depend on the maximum; stopping its gradient keeps the derivative exact.
    m = ops.stop_gradient(ops.maximum(m1, m2))
    a, b = ops.exp(m1 - m), ops.exp(m2 - m)
    return m, n1 * a[..., None] + n2 * b[..., None], d1 * a + d2 * b


class _MigrationAttention(keras.layers.Layer):
    """What the two attentions over migrations share: keys $\\tanh(W p)$ and values $V p$, by heads."""

    def __init__(self, units: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units % heads:
            raise ValueError(f"heads={heads} does not divide units={units}: each head needs a whole width")
        self.units, self.heads = units, heads
        self.key = keras.layers.Dense(units, activation="tanh", use_bias=False, name="key")
        self.value = keras.layers.Dense(units, use_bias=False, name="value")

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make W and V, of the width of a pair."""
        self.key.build((None, None, 2 * self.units))
        self.value.build((None, None, 2 * self.units))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units, "heads": self.heads}


@keras.saving.register_keras_serializable("imtlib")
class ConstantQueryAttention(_MigrationAttention):
    """Attention over migrations with a learned constant query a head: running sums, linear in the length.

    The ratio of two weights never depends on T. So this attention marks what is salient in itself,
    and cannot point at the cause that is due now.

    Args:
        units: width d of states and contexts.
        heads: how many queries; must divide `units`.
    """

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the queries, `(heads, d / heads)`."""
        super().build(input_shape)
        self.query = self.add_weight(
            shape=(self.heads, self.units // self.heads), initializer="glorot_uniform", name="query"
        )

    def scores(self, pairs: Tensor) -> Tensor:
        """$q \\cdot \\tanh(W p_t)$ for each head: `(B, T, 2d)` gives `(B, T, heads)`."""
        keys = split_heads(self.key(pairs), self.heads)
        return ops.transpose(ops.einsum("bhtw,hw->bht", keys, self.query), (0, 2, 1))

    def call(self, states: Tensor, real: Tensor) -> Tensor:
        """Contexts of every position.

        Args:
            states: $h_0 … h_T$, float `(B, T + 1, d)`.
            real: which of the T events are not padding, bool `(B, T)`.

        Returns:
            $c_0 … c_T$, float `(B, T + 1, d)`; $c_0$ is zero.
        """
        pairs = migrations(states)
        parts = self._elements(pairs, ops.where(real[..., None], self.scores(pairs), MASKED_SCORE))
        _, numerator, denominator = prefix_scan(combine, parts, self.start(states[:, :1]))
        context = numerator / denominator[..., None]
        context = ops.reshape(context, (ops.shape(states)[0], ops.shape(real)[1], self.units))
        return ops.pad(context, ((0, 0), (1, 0), (0, 0)))

    def _elements(self, pairs: Tensor, scores: Tensor) -> Parts:
        value = ops.transpose(split_heads(self.value(pairs), self.heads), (0, 2, 1, 3))
        return scores, value, ops.ones_like(scores)

    def start(self, like: Tensor) -> Parts:
        """The running sums before any event: maximum, numerator and denominator, for a batch as `like`."""
        batch = ops.shape(like)[0]
        none = ops.zeros((batch, 1, self.heads))
        return none + MASKED_SCORE, ops.zeros((batch, 1, self.heads, self.units // self.heads)), none

    def step(self, before: Tensor, state: Tensor, sums: Parts) -> tuple[Tensor, Parts]:
        """One event further, in constant time and memory.

        Args:
            before, state: $h_{t-1}$ and $h_t$, float `(B, d)`.
            sums: the running sums up to t − 1.

        Returns:
            $c_t$, float `(B, d)`, and the running sums up to t.
        """
        pair = migrations(ops.stack([before, state], axis=1))
        sums = combine(sums, self._elements(pair, self.scores(pair)))
        context = sums[1] / sums[2][..., None]
        return ops.reshape(context, (ops.shape(state)[0], self.units)), sums

    def attention_weights(self, states: Tensor, real: Tensor) -> Tensor:
        """$\\alpha_{T,t}$ by the definition, float `(B, heads, T + 1, T)`."""
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

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the query's projection."""
        super().build(input_shape)
        self.query = keras.layers.Dense(self.units, use_bias=False, name="query")
        self.query.build((None, None, self.units))

    def call(self, states: Tensor, real: Tensor) -> Tensor:
        """Contexts `(B, T + 1, d)` of states `(B, T + 1, d)`; `real` is bool `(B, T)`."""
        values = split_heads(self.value(migrations(states)), self.heads)
        return merge_heads(ops.matmul(self.attention_weights(states, real), values))

    def attention_weights(self, states: Tensor, real: Tensor) -> Tensor:
        """$\\alpha_{T,t}$, float `(B, heads, T + 1, T)`; each row sums to one over the past."""
        queries = split_heads(self.query(states), self.heads)
        keys = split_heads(self.key(migrations(states)), self.heads)
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2)))
        return masked_softmax(scaled(scores, self.units // self.heads), visible(real)[:, None])


@keras.saving.register_keras_serializable("imtlib")
class SelfAttention(keras.layers.Layer):
    """Scaled dot-product self-attention over states, as in the article's own code, through Keras' own layer.

    Source: Vaswani et al., Attention Is All You Need, 2017.

    Args:
        units: width d of states and contexts.
        heads: how many heads; must divide `units`.
    """

    def __init__(self, units: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units % heads:
            raise ValueError(f"heads={heads} does not divide units={units}: each head needs a whole width")
        self.units, self.heads = units, heads
        self.attention = keras.layers.MultiHeadAttention(heads, units // heads)

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the projections."""
        self.attention.build((None, None, self.units), (None, None, self.units))

    def call(self, states: Tensor, real: Tensor) -> Tensor:
        """Contexts `(B, T + 1, d)` of states `(B, T + 1, d)`; `real` is bool `(B, T)`."""
        seen = visible(real)
        context = self.attention(states, states[:, 1:], attention_mask=seen)
        return ops.where(ops.any(seen, axis=-1, keepdims=True), context, 0.0)

    def attention_weights(self, states: Tensor, real: Tensor) -> Tensor:
        """$\\alpha_{T,t}$, float `(B, heads, T + 1, T)`; each row sums to one over the past."""
        seen = visible(real)
        _, weights = self.attention(states, states[:, 1:], attention_mask=seen, return_attention_scores=True)
        return ops.where(seen[:, None], weights, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units, "heads": self.heads}


@keras.saving.register_keras_serializable("imtlib")
class NoAttention(keras.layers.Layer):
    """The control that the others are measured against: every context is zero, the state is all there is.

    Args:
        units: width d of states and contexts.
        heads: unused, here for the common interface.
    """

    def __init__(self, units: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.heads = units, heads

    def call(self, states: Tensor, real: Tensor) -> Tensor:
        """Contexts `(B, T + 1, d)` of states `(B, T + 1, d)`: zero."""
        return ops.zeros_like(states)

    def attention_weights(self, states: Tensor, real: Tensor) -> Tensor:
        """Zero, float `(B, heads, T + 1, T)`."""
        batch, time = ops.shape(real)
        return ops.zeros((batch, self.heads, time + 1, time))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units, "heads": self.heads}


ATTENTIONS: dict[str, type[keras.layers.Layer]] = {
    "constant": ConstantQueryAttention,
    "state": StateQueryAttention,
    "self": SelfAttention,
    "none": NoAttention,
}
"""By name: the three readings of the article's formula, and their control."""
