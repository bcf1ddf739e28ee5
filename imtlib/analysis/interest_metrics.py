"""How well the coming interests are predicted: their ranking, log loss and calibration.

Average precision and calibration are scikit-learn's. They are written out for all columns at once, since the
bootstrap asks for hundreds of each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imtlib.analysis.transitions import must_have_transitions
from imtlib.data.histories import EvaluationSet
from imtlib.errors import LogError
from imtlib.evaluation.bootstrap import percentile_interval
from imtlib.model import InterestMigrationModel
from imtlib.recommendation import responsibility
from imtlib.types import FloatArray, IntArray


def average_precision(score: NDArray[np.floating], came: NDArray[np.generic]) -> FloatArray:
    """Compute the average precision of each column: the mean, over what came, of the precision at its place.

    Equal scores share one place, the last of them, so a tie never helps.

    Args:
        score: float `(n, K)`.
        came: whether it came, zeros and ones or bool `(n, K)`.

    Returns:
        float64 `(K,)`; NaN for a column in which nothing came.
    """
    order = np.argsort(-score, axis=0, kind="stable")
    ranked = np.take_along_axis(score, order, axis=0)
    hit = np.take_along_axis(came.astype(np.float64), order, axis=0)
    place = np.arange(1, len(score) + 1)[:, None]
    last = np.ones(score.shape, bool)
    last[:-1] = ranked[:-1] != ranked[1:]
    # At each place, the precision at the last place of the same score.
    own = np.where(last, place, len(score) + 1)
    own = np.minimum.accumulate(own[::-1], axis=0)[::-1] - 1
    precision = np.take_along_axis(np.cumsum(hit, axis=0) / place, own, axis=0)
    total = hit.sum(axis=0)
    return np.where(total > 0, (precision * hit).sum(axis=0) / np.maximum(total, 1), np.nan)


@dataclass(frozen=True)
class Reliability:
    """Probabilities against what came, in bins.

    Attributes:
        predicted: mean probability of each bin, float64 `(bins,)`; NaN where a bin is empty.
        observed: share that came, likewise.
        size: how many fell into each bin.
        error: expected calibration error, the mean of |predicted − observed| weighted by size.
    """

    predicted: FloatArray
    observed: FloatArray
    size: NDArray[np.int64]
    error: float


def reliability(p: NDArray[np.floating], came: NDArray[np.generic], bins: int = 10) -> Reliability:
    """Sort probabilities into bins of equal width and compare each with the share that came.

    Source of the expected calibration error: Naeini, Cooper & Hauskrecht, AAAI 2015.

    Args:
        p: probabilities, any shape.
        came: whether it came, of the same shape.
        bins: how many.
    """
    place = np.minimum((p * bins).astype(int), bins - 1).ravel()
    size = np.bincount(place, minlength=bins)
    predicted, observed = (np.bincount(place, np.ravel(x).astype(float), bins) for x in (p, came))
    error = float(np.abs(predicted - observed).sum() / max(size.sum(), 1))
    filled = np.where(size > 0, size, np.nan)
    return Reliability(predicted / filled, observed / filled, size, error)


@dataclass(frozen=True, eq=False, repr=False)
class InterestReport:
    """What `evaluate_interests` found about the next event: n requests, and all that follows from them.

    A figure over no request, or in which nothing came, is NaN.

    Attributes:
        scenarios: names of the scenarios.
        user: whose request it is, codes, int32 `(n,)`.
        scenario: where it was made, codes, int32 `(n,)`.
        predicted: $\\bar\\pi_T$, float64 `(n, K)`.
        own: the interests of the item that came, zeros and ones, float64 `(n, K)`.
        belief: in the current interest, float64 `(n, K + 1)`; the last is START.
        responsibilities: responsibilities of the interests for the item that came, float64 `(n, K)`.
    """

    scenarios: tuple[str, ...]
    user: IntArray
    scenario: IntArray
    predicted: FloatArray
    own: FloatArray
    belief: FloatArray
    responsibilities: FloatArray

    @cached_property
    def by_interest(self) -> FloatArray:
        """Average precision of each interest, float64 `(K,)`; NaN where it never came."""
        return average_precision(self.predicted, self.own)

    @property
    def macro(self) -> float:
        """Mean of `by_interest` over the interests that came at all."""
        return _mean(self.by_interest)

    @property
    def micro(self) -> float:
        """Average precision over all pairs of request and interest together."""
        return float(average_precision(self.predicted.reshape(-1, 1), self.own.reshape(-1, 1))[0])

    @property
    def log_loss(self) -> float:
        """Mean of −ln of the probability that the next interest is one of the item's, nats."""
        return _mean(-np.log(np.maximum((self.predicted * self.own).sum(axis=1), 1e-37)))

    @cached_property
    def row_weight(self) -> FloatArray:
        """How many requests a row stands for, float64 `(K + 1,)`; fractions of requests add up."""
        return self.belief.sum(axis=0)

    @property
    def rows_predicted(self) -> FloatArray:
        """Mean prediction over requests, each weighted by its belief in the row's interest.

        float64 `(K + 1, K)`; the last row is START; NaN where nothing is believed.
        """
        return self._by_row(self.predicted)

    @property
    def rows_observed(self) -> FloatArray:
        """Mean responsibility for the item that came, likewise."""
        return self._by_row(self.responsibilities)

    @property
    def row_error(self) -> float:
        """Total variation of `rows_predicted` and `rows_observed`, weighted by `row_weight`."""
        believed = self.row_weight > 0
        apart = 0.5 * np.abs(self.rows_predicted - self.rows_observed)[believed].sum(axis=1)
        return float(np.average(apart, weights=self.row_weight[believed])) if believed.any() else np.nan

    @cached_property
    def by_scenario(self) -> dict[str, InterestReport]:
        """The same report for the requests of each scenario alone, by its name."""
        return {name: self._of(np.flatnonzero(self.scenario == k)) for k, name in enumerate(self.scenarios)}

    def interval(
        self, metric: str, *, level: float = 0.95, draws: int = 200, seed: int = 0
    ) -> tuple[float, float]:
        """Compute a bootstrap interval of a metric: users are drawn with replacement, all requests of each.

        Args:
            metric: one of `WITH_INTERVAL`.
            level: share of the draws inside the interval.
            draws: how many; the metric is computed anew for each.
            seed: of the draws.

        Returns:
            Its two ends; NaN when the metric is.

        Raises:
            KeyError: there is no such metric, or none with an interval.
        """
        if metric not in WITH_INTERVAL:
            raise KeyError(f"no interval of {metric!r}: choose one of {', '.join(WITH_INTERVAL)}")
        if np.isnan(getattr(self, metric)):
            return np.nan, np.nan
        rows, rng = np.argsort(self.user, kind="stable"), np.random.default_rng(seed)
        whose = np.split(rows, np.flatnonzero(np.diff(self.user[rows])) + 1)
        drawn = rng.integers(0, len(whose), (draws, len(whose)))
        found = [getattr(self._of(np.concatenate([whose[u] for u in one])), metric) for one in drawn]
        return percentile_interval(np.array(found), level)

    def _by_row(self, values: FloatArray) -> FloatArray:
        shared = np.where(self.row_weight > 0, self.row_weight, np.nan)[:, None]
        return self.belief.T @ values / shared

    def _of(self, rows: NDArray[np.integer]) -> InterestReport:
        names = ("user", "scenario", "predicted", "own", "belief", "responsibilities")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


WITH_INTERVAL = ("macro", "micro", "log_loss")
"""Those of `METRICS` that have a bootstrap interval. `row_error` is a distance of noisy means, to which
drawing anew only adds: its draws lie above it, and it has none."""
METRICS = (*WITH_INTERVAL, "row_error")
"""The figures of an `InterestReport` that are one number."""


def _mean(values: FloatArray) -> float:
    """Mean of what is not NaN; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def evaluate_interests(model: InterestMigrationModel, part: EvaluationSet) -> InterestReport:
    """Compare the predicted next interest with the item that came.

    Of an item with several interests nobody knows which one it was chosen for. Ranking and log loss ask
    whether the interest is *one of* the item's. For the calibration of the transition rows, what came is the
    responsibility $p(y' \\mid i)$, which for an item of one interest is certain: a model whose rows are right
    predicts on average what is found responsibilities.

    Args:
        model: of the part's catalogue.
        part: requests whose answer is known.

    Raises:
        LogError: the part holds no request.
        ModelFileError: the model was made for another catalogue.
        ValueError: the model has learnt no transitions, since it does not go through interests.
    """
    must_have_transitions(model)
    if len(part) == 0:
        raise LogError(f"the {part.name} part holds no request: there is nothing to evaluate")
    ends = model.outputs(part.histories, ("next_interest", "belief", "log_z"))
    predicted = ends["next_interest"].astype(np.float64)
    own = part.histories.catalogue.item_interests[part.target].astype(np.float64)
    return InterestReport(
        scenarios=part.histories.catalogue.scenarios,
        user=part.user,
        scenario=part.histories.request_scenario,
        predicted=predicted,
        own=own,
        belief=ends["belief"].astype(np.float64),
        responsibilities=responsibility(ends["log_z"], predicted, own).astype(np.float64),
    )
