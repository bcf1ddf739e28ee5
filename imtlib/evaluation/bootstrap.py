"""The bootstrap over users: how far a figure would move if other people of the same kind had been asked.

Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from imtlib.types import FloatArray

KEPT = 1 << 24
"""As many numbers are kept of what was drawn: two thousand draws of eight thousand users, 32 MB at most."""


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
    return np.array(
        [times @ total / (times @ count) for times in drawn_rows(_users_drawn, len(count), draws, seed)]
    )


def drawn_rows(
    make: Callable[[int, np.random.Generator], NDArray[np.integer]], users: int, draws: int, seed: int
) -> Iterable[NDArray[np.integer]]:
    """Draw one row of whole numbers after another, or hand on the rows that were drawn before.

    They depend on nothing but these arguments, and every comparison of models asks for the same ones.

    Args:
        make: draws one row, integers `(users,)`.
        users, draws: how long a row is, and how many there are.
        seed: of the draws.
    """
    one_by_one = _drawn(make, users, draws, seed)
    return one_by_one if users * draws > KEPT else _kept(make, users, draws, seed)


def _drawn(
    make: Callable[[int, np.random.Generator], NDArray[np.integer]], users: int, draws: int, seed: int
) -> Iterator[NDArray[np.integer]]:
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield make(users, rng)


@lru_cache(maxsize=2)
def _kept(
    make: Callable[[int, np.random.Generator], NDArray[np.integer]], users: int, draws: int, seed: int
) -> NDArray[np.integer]:
    return np.stack(list(_drawn(make, users, draws, seed)))


def _users_drawn(users: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """How often each user is drawn."""
    return np.bincount(rng.integers(users, size=users), minlength=users).astype(np.uint16)


def percentile_interval(means: FloatArray, level: float) -> tuple[float, float]:
    """Find the ends between which the share `level` of the means lies, as much left out below as above.

    Args:
        means: such as `bootstrap_means` gives, float64 `(draws,)`.
        level: from 0 to 1.
    """
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
