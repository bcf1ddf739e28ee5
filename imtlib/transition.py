"""Step 4, transition (兴趣转移概率学习): the probability of moving from one interest to another.

$$b_T(y) = \\operatorname*{softmax}_{y \\in G(i_T)} (W_b h_T)_y, \\qquad
\\pi_T(y' \\mid y) = \\operatorname*{softmax}_{y'}
\\big( A_{y,y'} + B^{s'}_{y,y'} + (P\\,\\mathrm{diag}(R\\,c_T)\\,Q)_{y,y'} \\big),
\\qquad \\bar\\pi_T = \\sum_y b_T(y)\\, \\pi_T(\\cdot \\mid y).$$

Which of an item's interests drew the user is not observed: it is latent, and $b_T$ is the belief in each.
$s'$ is the scenario of the request. Before the first event the row is START: in the shapes, I = K + 1.

A matrix at every position would fill the memory at a few hundred interests. But $b_T$ is zero outside the few
interests of one item, and with many interests only their rows are computed (`MigrationMatrix.mixed`).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from keras import ops

from imtlib.layers.ops import masked_softmax, time_slice
from imtlib.types import Shape, Tensor

SMALL = 32
"""Interests whose matrix is held at every position; and how many stand in for an unknown one."""


@keras.saving.register_keras_serializable("imtlib")
class CurrentInterest(keras.layers.Layer):
    """The belief $b_T$ over the interest of the present event, and over START before any event.

    Args:
        interests: how many, K.
    """

    def __init__(self, interests: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.interests = interests
        self.dense = keras.layers.Dense(interests)

    def call(
        self,
        state: Float[Tensor, "B L d"],
        possible: Bool[Tensor, "B L-1 K"],
        expected: Float[Tensor, "B L K"],
    ) -> Float[Tensor, "B L K+1"]:
        """Compute the belief at every position.

        Args:
            state: $h_0 … h_T$.
            possible: the interests G(i) of each event's item; a row with none means that the item's interest
                is unknown.
            expected: the predicted interest points $\\hat y_0 … \\hat y_T$: at an unknown interest, what was
                expected one event earlier stands in, of many interests the `SMALL` most expected.

        Returns:
            $b_0 … b_T$; each row sums to one, the last column is START.
        """
        among = masked_softmax(self.dense(time_slice(state, 1, ops.shape(state)[1] - 1)), possible)
        stand_in = expected[:, :-1]
        if self.interests > SMALL:
            least = ops.top_k(stand_in, SMALL)[0][..., -1:]
            stand_in = ops.where(stand_in >= least, stand_in, 0.0)
        stand_in = stand_in / (ops.sum(stand_in, axis=-1, keepdims=True) + 1e-9)
        known = ops.any(possible, axis=-1, keepdims=True)
        belief = ops.where(known, among, stand_in)
        later = ops.pad(belief, ((0, 0), (0, 0), (0, 1)))
        start = ops.one_hot(ops.full((ops.shape(state)[0], 1), self.interests), self.interests + 1)
        return ops.concatenate([ops.cast(start, later.dtype), later], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "interests": self.interests}


@keras.saving.register_keras_serializable("imtlib")
class MigrationMatrix(keras.layers.Layer):
    """The row-stochastic matrix $\\pi_T$ of each context.

    A is common to all scenarios and $B^{s}$ belongs to one. Both begin at zero, and weight decay pulls both
    back there. A learns from every event, $B^{s}$ from those in s alone: a scenario with few events stays
    near A, and one without any is served by A.

    Args:
        interests: how many, K.
        scenarios: how many, S.
        rank: of the part that depends on the context.
    """

    def __init__(self, interests: int, scenarios: int, rank: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = {"interests": interests, "scenarios": scenarios, "rank": rank}

    def build(self, context_shape: Shape, scenario_shape: Shape) -> None:
        """Make A `(K + 1, K)`, B `(S, K + 1, K)` and the low-rank part; row K is START."""
        k, s, r = self.sizes["interests"], self.sizes["scenarios"], self.sizes["rank"]
        self.common = self.add_weight(shape=(k + 1, k), initializer="zeros", name="common")
        self.by_scenario = self.add_weight(shape=(s, k + 1, k), initializer="zeros", name="by_scenario")
        self.left = self.add_weight(shape=(k + 1, r), initializer="glorot_uniform", name="left")
        self.right = self.add_weight(shape=(r, k), initializer="glorot_uniform", name="right")
        self.from_context = keras.layers.Dense(r, name="from_context")
        self.from_context.build(context_shape)

    def call(self, context: Float[Tensor, "*n d"], scenario: Int[Tensor, "*n"]) -> Float[Tensor, "*n I K"]:
        """Compute the matrix of each context.

        Args:
            context: $c_T$.
            scenario: $s'$, the scenario of the request, a code.

        Returns:
            $\\pi_T(y' \\mid y)$; each row sums to one.
        """
        inner = self.from_context(context)
        given = ops.tensordot(self.left * inner[..., None, :], self.right, axes=1)
        table = self.common + self.by_scenario
        return ops.exp(ops.log_softmax(ops.take(table, scenario, axis=0) + given, axis=-1))

    def mixed(
        self,
        belief: Float[Tensor, "*n I"],
        context: Float[Tensor, "*n d"],
        scenario: Int[Tensor, "*n"],
        few: int,
    ) -> Float[Tensor, "*n K"]:
        """Compute $\\bar\\pi_T$ without the matrices: `mix_rows` of those rows alone that are believed in.

        Args:
            belief: $b_T$.
            context, scenario: as for `call`.
            few: the most interests that an item has. Positions that believe in more, since the interest of
                their item is unknown, are looked at apart.
        """
        rows, columns = belief.shape[-1], self.sizes["interests"]
        shape = (*ops.shape(belief)[:-1], columns)
        belief, scenario = ops.reshape(belief, (-1, rows)), ops.reshape(scenario, (-1,))
        inner = self.from_context(ops.reshape(context, (-1, context.shape[-1])))
        mixed = self._believed(belief, inner, scenario, few)
        if few < SMALL:
            unsure = ops.nonzero(ops.sum(ops.cast(belief > 0, "int32"), axis=-1) > few)[0]
            belief, inner, scenario = (ops.take(part, unsure, axis=0) for part in (belief, inner, scenario))
            again = self._believed(belief, inner, scenario, SMALL)
            mixed = ops.scatter_update(mixed, unsure[:, None], again)
        return ops.reshape(mixed, shape)

    def _believed(
        self,
        belief: Float[Tensor, "n I"],
        inner: Float[Tensor, "n r"],
        scenario: Int[Tensor, " n"],
        most: int,
    ) -> Float[Tensor, "n K"]:
        """Mix the rows with the largest beliefs, `most` of them."""
        value, row = ops.top_k(belief, most)
        table = ops.reshape(self.common + self.by_scenario, (-1, self.sizes["interests"]))
        given = ops.tensordot(ops.take(self.left, row, axis=0) * inner[:, None, :], self.right, axes=1)
        logits = ops.take(table, scenario[:, None] * belief.shape[-1] + row, axis=0) + given
        return mix_rows(value, ops.softmax(logits, axis=-1))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), **self.sizes}


def mix_rows(belief: Float[Tensor, "*n m"], matrix: Float[Tensor, "*n m K"]) -> Float[Tensor, "*n K"]:
    """Mix the rows of matrices by beliefs, $\\bar\\pi_T = \\sum_y b_T(y) \\pi_T(\\cdot \\mid y)$.

    A row computed from an averaged interest would be another thing.
    """
    return ops.sum(belief[..., None] * matrix, axis=-2)


def mean_matrix(
    belief: Float[np.ndarray, "n I"], matrix: Float[np.ndarray, "n I K"]
) -> Float64[np.ndarray, "I K"]:
    """Average $\\mathbb E[\\pi_T(\\cdot \\mid y) \\mid y]$ over contexts, each weighted by its belief in y.

    Returns:
        Each row sums to one, or is NaN where no context holds its interest.
    """
    weight = belief.sum(axis=0, dtype=np.float64)
    total = np.einsum("ny,nyk->yk", belief, matrix, dtype=np.float64)
    return np.where(weight[:, None] > 0, total / np.maximum(weight, 1e-300)[:, None], np.nan)
