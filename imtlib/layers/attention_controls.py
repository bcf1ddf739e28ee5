"""What all kinds of attention share, and the controls that attention over migrations is held against.

In the shapes, B histories have L states, of width d, and L − 1 events.
"""

from __future__ import annotations

from typing import Any

import keras
from jaxtyping import Bool, Float, Int
from keras import ops

from imtlib.layers.backend import at_positions
from imtlib.types import Shape, Tensor


def visible(real: Bool[Tensor, "B T"], position: Int[Tensor, "B P"] | None = None) -> Bool[Tensor, "B P T"]:
    """Say which migrations each position may see: t ≤ T, and real, which is to say no padding.

    The row of position 0, before any event, is empty.

    Args:
        real: which of the T events are not padding.
        position: P positions of each row; by default all, 0 to T.
    """
    time = ops.shape(real)[1]
    place = ops.arange(time + 1)[None] if position is None else position
    past = place[:, :, None] > ops.arange(time)[None, None, :]
    return ops.logical_and(past, real[:, None, :])


class Attention(keras.layers.Layer):
    """What all attentions are made from.

    Args:
        units: width d of states and contexts.
        heads: how many; must divide `units`.
    """

    def __init__(self, units: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units % heads:
            raise ValueError(f"heads={heads} does not divide units={units}: each head needs a whole width")
        self.units, self.heads = units, heads

    def at(
        self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"], position: Int[Tensor, "B P"]
    ) -> Float[Tensor, "B P d"]:
        """Compute what `call` returns at chosen positions alone.

        Args:
            states, real: as for `call`.
            position: P positions of each row, from 0.
        """
        return at_positions(self(states, real), position)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "heads": self.heads}


@keras.saving.register_keras_serializable("imtlib")
class SelfAttention(Attention):
    """Scaled dot-product self-attention over states, as in the article's own code, through Keras' own layer.

    Source: Vaswani et al., Attention Is All You Need, 2017.

    Args:
        units, heads: as of `ConstantQueryAttention`.
    """

    def __init__(self, units: int, heads: int, **kwargs: Any) -> None:
        super().__init__(units, heads, **kwargs)
        self.attention = keras.layers.MultiHeadAttention(heads, units // heads)

    def build(self, input_shape: Shape) -> None:
        """Make the projections."""
        self.attention.build((None, None, self.units), (None, None, self.units))

    def call(self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"]) -> Float[Tensor, "B L d"]:
        """Sum up the past of every position, as `ConstantQueryAttention.call` does."""
        seen = visible(real)
        context = self.attention(states, states[:, 1:], attention_mask=seen)
        return ops.where(ops.any(seen, axis=-1, keepdims=True), context, 0.0)

    def attention_weights(
        self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"]
    ) -> Float[Tensor, "B {self.heads} L L-1"]:
        """Compute $\\alpha_{T,t}$; each row sums to one over the past."""
        seen = visible(real)
        _, weights = self.attention(states, states[:, 1:], attention_mask=seen, return_attention_scores=True)
        return ops.where(seen[:, None], weights, 0.0)


@keras.saving.register_keras_serializable("imtlib")
class NoAttention(Attention):
    """The control that the others are measured against: every context is zero, the state is all there is.

    Args:
        units, heads: as of `ConstantQueryAttention`.
    """

    def call(self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"]) -> Float[Tensor, "B L d"]:
        """Give zeros."""
        return ops.zeros_like(states)

    def attention_weights(
        self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"]
    ) -> Float[Tensor, "B {self.heads} L L-1"]:
        """Give zeros."""
        batch, time = ops.shape(real)
        return ops.zeros((batch, self.heads, time + 1, time))
