"""Step 3, prediction (兴趣点预测): the coming interest points, and a score for every item.

$$\\hat y_T = \\sigma(W_h [c_T; h_T] + b_h), \\qquad l_T = E\\, g(c_T, h_T) + b.$$

$\\hat y_T$ are the interest points of the next m events. Several may be true, so each has a sigmoid of its
own. $l_T$ are the logits of the next item, tied to the item embeddings E.
"""

from __future__ import annotations

from typing import Any

import keras
from jaxtyping import Float, Int
from keras import ops

from imtlib.types import Tensor


def coming_interests(
    target: Int[Tensor, "B L"], item_interests: Float[Tensor, "N K"], window: int
) -> tuple[Float[Tensor, "B L K"], Float[Tensor, "B L"]]:
    """Find the interests that the next events hold.

    Args:
        target: the next item at each position, a code; −1 where there is none.
        item_interests: $G$, zeros and ones.
        window: m, how many events ahead count.

    Returns:
        Zeros and ones: the union of the interests of the next m events, as far as the sequence reaches; and
        one where there is a next event.
    """
    real = ops.cast(target >= 0, "float32")
    ahead = ops.take(item_interests, ops.maximum(target, 0), axis=0) * real[..., None]
    ahead = ops.pad(ahead, ((0, 0), (0, window - 1), (0, 0)))
    length = ops.shape(target)[1]
    coming = ahead[:, :length]
    for step in range(1, window):
        coming = ops.maximum(coming, ahead[:, step : step + length])
    return coming, real


@keras.saving.register_keras_serializable("imtlib")
class InterestPoints(keras.layers.Layer):
    """Logits of the coming interest points, $W_h [c_T; h_T] + b_h$.

    Args:
        interests: how many, K.
    """

    def __init__(self, interests: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.interests = interests
        self.dense = keras.layers.Dense(interests)

    def call(
        self, context: Float[Tensor, "*n d"], state: Float[Tensor, "*n d"]
    ) -> Float[Tensor, "*n {self.interests}"]:
        """Compute logits, whose sigmoid is $\\hat y_T$."""
        return self.dense(ops.concatenate([context, state], axis=-1))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "interests": self.interests}


@keras.saving.register_keras_serializable("imtlib")
class ItemQuery(keras.layers.Layer):
    """$g(c_T, h_T)$: what is looked for, in the space of the item embeddings.

    $g = \\mathrm{LN}(h_T + W_2\\,\\mathrm{gelu}(W_1 [c_T; h_T]))$.

    Args:
        units: width d.
        dropout: share dropped while training.
    """

    def __init__(self, units: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.rate = units, dropout
        self.widen = keras.layers.Dense(2 * units, activation="gelu")
        self.narrow = keras.layers.Dense(units)
        self.norm = keras.layers.LayerNormalization()
        self.drop = keras.layers.Dropout(dropout)

    def call(
        self, context: Float[Tensor, "*n d"], state: Float[Tensor, "*n d"], training: bool | None = None
    ) -> Float[Tensor, "*n d"]:
        """Compute the query."""
        mixed = self.narrow(self.widen(ops.concatenate([context, state], axis=-1)))
        return self.norm(state + self.drop(mixed, training=training))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "dropout": self.rate}


def item_logits(
    query: Float[Tensor, "n d"], embeddings: Float[Tensor, "N d"], bias: Float[Tensor, " N"]
) -> Float[Tensor, "n N"]:
    """Score every item, $l = E g + b$."""
    return ops.matmul(query, ops.transpose(embeddings)) + bias
