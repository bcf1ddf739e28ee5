"""The bootstrap over users: how far a figure would move if other people of the same kind had been asked.

Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imtlib.types import FloatArray


def per_user(values: FloatArray, user: NDArray[np.integer]) -> tuple[FloatArray, FloatArray]:
    """Sum up and count each user's values; NaN counts as no value.

    Args:
        values: one a request, float64 `(n,)`.
        user: whose request it is, any codes, int `(n,)`.

    Returns:
        Total and count, float64 `(users with a value,)`, in the order of the codes.
    """
    known = ~np.isnan(values)
    code = np.unique(user[known], return_inverse=True)[1]
    total = np.bincount(code, weights=values[known]).astype(np.float64)
    return total, np.bincount(code).astype(np.float64)


def bootstrap_means(total: FloatArray, count: FloatArray, draws: int, seed: int) -> FloatArray:
    """Compute means over requests when users are drawn with replacement, all requests of a user together.

    Args:
        total, count: of each user, as `per_user` gives them.
        draws: how many times all users are drawn.
        seed: of the draws.

    Returns:
        float64 `(draws,)`.
    """
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(rng.integers(len(count), size=len(count)), minlength=len(count))
        means[draw] = times @ total / (times @ count)
    return means


def percentile_interval(means: FloatArray, level: float) -> tuple[float, float]:
    """Find the ends between which the share `level` of the means lies, as much left out below as above.

    Args:
        means: such as `bootstrap_means` gives, float64 `(draws,)`.
        level: from 0 to 1.
    """
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
