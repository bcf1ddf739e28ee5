"""The attention weights with which a model reads histories, and over how many events they are spread."""

from __future__ import annotations

import numpy as np
from keras import ops

from imtlib.data.histories import Histories
from imtlib.data.inputs import by_length, inputs
from imtlib.layers.backend import at_positions, compiled
from imtlib.layers.ops import real_events
from imtlib.model import InterestMigrationModel
from imtlib.types import Float32Array, FloatArray, ScoreArray, Tensor


def weights_at_end(
    model: InterestMigrationModel, histories: Histories, batch: int = 64
) -> list[Float32Array]:
    """Compute the attention weights $\\alpha_{T,t}$ with which a model reads each history at its end.

    Args:
        model: with any of the three attentions.
        histories: n histories, at least one; of each, the last `model.max_length` events are read.
        batch: histories worked on at a time.

    Returns:
        For each history float32 `(heads, T)`, T its events; each row sums to one. Column t is the migration
        from event t to event t + 1, counted from 1, where event 0 is the start.
    """

    def at_end(given: dict[str, Tensor]) -> Tensor:
        weights = model.attention.attention_weights(model.states(given), real_events(given))
        return at_positions(ops.transpose(weights, (0, 2, 1, 3)), given["length"])

    example = inputs(histories.take(slice(1)), model.max_length)
    graph = compiled(at_end, example)
    found: dict[int, Float32Array] = {}
    for rows in by_length(histories, batch):
        arrays = inputs(histories.take(rows), model.max_length)
        for row, length, one in zip(rows, arrays["length"], np.asarray(graph(arrays)), strict=True):
            found[int(row)] = one[:, :length]
    return [found[row] for row in range(len(histories))]


def effective_number(weights: ScoreArray) -> FloatArray:
    """Count what a row of weights is spread over, as the exponential of its entropy (its perplexity).

    $$\\exp\\Big(-\\sum_t \\alpha_t \\ln \\alpha_t\\Big)$$

    Args:
        weights: `(…, T)`; each row sums to one.

    Returns:
        float64 `(…)`: T when all weights are equal, 1 when a single one has everything.
    """
    alpha = np.asarray(weights, np.float64)
    entropy = -(alpha * np.log(np.maximum(alpha, 1e-300))).sum(axis=-1)
    number: FloatArray = np.exp(entropy)
    return number
