"""Two models asked the same questions: by how much do they differ, and could it be chance?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imtlib.evaluation.bootstrap import bootstrap_means, drawn_rows, per_user, percentile_interval
from imtlib.evaluation.ranking import Report
from imtlib.types import FloatArray


@dataclass(frozen=True)
class Difference:
    """What `compare` found.

    Attributes:
        metric: its name.
        mean: of the first report minus of the second.
        low, high: ends of the bootstrap interval of that difference.
        level: share of the draws inside the interval.
        p: how often a difference as large comes about when, for each user, it is a coin that says which
            model is which; two-sided.
        users: how many were asked.
    """

    metric: str
    mean: float
    low: float
    high: float
    level: float
    p: float
    users: int

    def __str__(self) -> str:
        interval = f"{self.level:.0%} interval {self.low:+.4f} to {self.high:+.4f}"
        return f"{self.metric}: {self.mean:+.4f} ({interval}, p = {self.p:.4f}, {self.users:,} users)"


def compare(
    one: Report,
    other: Report,
    metric: str = "NDCG@10",
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Difference:
    """Compare two reports on the same requests, in pairs.

    What makes a request hard is hard for both models, so their difference at each request varies far less
    than either figure does: two intervals that overlap can hide a difference that is certain. The interval is
    a percentile bootstrap over users; p comes from a randomisation test that swaps the two models for whole
    users (Smucker, Allan & Carterette, CIKM 2007).

    Args:
        one, other: reports of `evaluate` on one part.
        metric: any but coverage, which is no mean over requests.
        level: share of the draws inside the interval.
        draws: how many, of users and of swaps.
        seed: of the draws.

    Returns:
        The difference, one minus other. Requests at which either has no value are left out.

    Raises:
        KeyError: the reports have no such metric.
        ValueError: the reports are not about the same requests, or no request has a value in both.
    """
    same = type(one) is type(other) and one.name == other.name
    if not (same and np.array_equal(one.user, other.user) and np.array_equal(one.scenario, other.scenario)):
        raise ValueError(
            f"the reports are about different requests: {len(one.rank):,} of part {one.name!r} and "
            f"{len(other.rank):,} of part {other.name!r}. Evaluate both models on the same part."
        )
    apart = one.each(metric) - other.each(metric)
    if np.isnan(apart).all():
        raise ValueError(f"no request has a {metric} in both reports")
    total, count = per_user(apart, one.user)
    mean = total.sum() / count.sum()
    low, high = percentile_interval(bootstrap_means(total, count, draws, seed), level)
    return Difference(metric, mean, low, high, level, _swapped(total, draws, seed), len(total))


def _swapped(total: FloatArray, draws: int, seed: int) -> float:
    """Share of the swaps, the true labelling among them, whose difference is at least as large."""
    # scipy.stats.permutation_test draws other swaps, doubles the smaller tail, and takes ten times as long.
    found = abs(total.sum())
    as_large = sum(abs(sign @ total) >= found - 1e-12 for sign in drawn_rows(_signs, len(total), draws, seed))
    return float((1 + as_large) / (draws + 1))


def _signs(users: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Which model is which for each user: 1, or −1 where the two are swapped."""
    return (rng.integers(0, 2, users) * 2 - 1).astype(np.int8)
