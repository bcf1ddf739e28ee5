"""The profile (用户画像): the user's given features, and the decayed share of each interest."""

from __future__ import annotations

import numpy as np

from imtlib.data.histories import Histories
from imtlib.types import Float32Array

DAY = 86_400


def interest_shares(histories: Histories, half_life_days: float = 30.0) -> Float32Array:
    r"""Compute how much of each user's recent past belongs to each interest.

    $$s_y \propto \sum_t 2^{-(\text{request time} - \text{time}_t) / \text{half-life}}
    \cdot \frac{[y \in G(i_t)]}{|G(i_t)|}, \qquad \sum_y s_y = 1.$$

    Args:
        histories: n histories. An event later than its request counts as new.
        half_life_days: the age, in days, at which an event counts half; infinity makes all count the same.

    Returns:
        float32 `(n, K)`: each row sums to one; a row is all zero where the history is empty.

    Raises:
        ValueError: the half-life is not positive.
    """
    if not half_life_days > 0:
        raise ValueError(f"half_life_days={half_life_days} must be positive")
    n, kinds = len(histories), len(histories.catalogue.interests)
    owner = histories.owner
    age = np.maximum(histories.request_time[owner] - histories.time, 0) / DAY
    # The newest event of each history weighs one, so that a very old history does not vanish altogether.
    newest = np.zeros(n)
    some = histories.lengths > 0
    newest[some] = age[histories.starts[1:][some] - 1]
    weight = 0.5 ** ((age - newest[owner]) / half_life_days)
    event, interest, share = histories.catalogue.spread(histories.item)
    cell = owner[event] * kinds + interest
    total = np.bincount(cell, weight[event] * share, minlength=n * kinds).reshape(n, kinds)
    sums = total.sum(axis=1, keepdims=True)
    shares = np.divide(total, sums, out=np.zeros(total.shape), where=sums > 0)
    return np.asarray(shares, np.float32)
