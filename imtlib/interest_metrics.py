"""How well the coming interests are foretold: ranked, in log loss, and whether probabilities hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imtlib.errors import LogError
from imtlib.histories import Part
from imtlib.model import InterestMigrationModel
from imtlib.recommendation import responsibility

FloatArray = NDArray[np.float64]


def average_precision(score: NDArray[np.floating], came: NDArray[np.generic]) -> FloatArray:
    """Average precision of each column: the mean, over what came, of the precision at its place.

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
        said: mean probability of each bin, float64 `(bins,)`; NaN where a bin is empty.
        came: share that came, likewise.
        size: how many fell into each bin.
        error: expected calibration error, the mean of |said − came| weighted by size.
    """

    said: FloatArray
    came: FloatArray
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
    said, true = (np.bincount(place, np.ravel(x).astype(float), bins) for x in (p, came))
    error = float(np.abs(said - true).sum() / max(size.sum(), 1))
    filled = np.where(size > 0, size, np.nan)
    return Reliability(said / filled, true / filled, size, error)


@dataclass(frozen=True)
class InterestReport:
    """What `evaluate_interests` found about the next event.

    Attributes:
        macro: mean of `by_interest` over the interests that came at all.
        micro: average precision over all pairs of request and interest together.
        by_interest: average precision of each interest, float64 `(K,)`; NaN where it never came.
        log_loss: mean of −ln of the probability that the next interest is one of the item's, nats.
        rows_said: mean of $\\bar\\pi_T$ over requests, each weighted by its belief in the row's interest,
            float64 `(K + 1, K)`; the last row is START; NaN where nothing is believed.
        rows_came: likewise the mean responsibility of the item that came.
        row_weight: how many requests a row stands for, float64 `(K + 1,)`; fractions of requests add up.
        row_error: total variation of the two, weighted by `row_weight`.
    """

    macro: float
    micro: float
    by_interest: FloatArray
    log_loss: float
    rows_said: FloatArray
    rows_came: FloatArray
    row_weight: FloatArray
    row_error: float


def evaluate_interests(model: InterestMigrationModel, part: Part) -> InterestReport:
    """Hold the predicted next interest against the item that came.

    Of an item with several interests nobody knows which one it was chosen for. Ranking and log loss ask
    whether the interest is *one of* the item's. For the calibration of the transition rows, what came is the
    responsibility $p(y' \\mid i)$, which for an item of one interest is certain: a model whose rows are right
    foretells on average what is found afterwards.

    Args:
        model: of the part's catalogue.
        part: requests whose answer is known.

    Raises:
        LogError: the part holds no request.
        ModelFileError: the model was made for another catalogue.
    """
    if len(part) == 0:
        raise LogError(f"the {part.name} part holds no request: there is nothing to evaluate")
    ends = model.outputs(part.histories, ("next_interest", "belief", "query"))
    p, belief = ends["next_interest"].astype(np.float64), ends["belief"].astype(np.float64)
    own = part.histories.catalogue.item_interests[part.target].astype(np.float64)
    log_z = model.log_z(ends["query"])
    afterwards = np.concatenate([responsibility(log_z[r], p[r], own[[r]]) for r in range(len(part))])
    weight = belief.sum(axis=0)
    shared = np.where(weight > 0, weight, np.nan)[:, None]
    said, came = belief.T @ p / shared, belief.T @ afterwards / shared
    apart = 0.5 * np.abs(said - came).sum(axis=1)
    by_interest = average_precision(p, own)
    return InterestReport(
        macro=float(np.nanmean(by_interest)),
        micro=float(average_precision(p.reshape(-1, 1), own.reshape(-1, 1))[0]),
        by_interest=by_interest,
        log_loss=float(-np.log(np.maximum((p * own).sum(axis=1), 1e-37)).mean()),
        rows_said=said,
        rows_came=came,
        row_weight=weight,
        row_error=float(np.nansum(apart * weight) / weight.sum()),
    )
