"""Baselines that count: popularity, recent popularity and transitions, the floors for every model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.events import windows
from imtlib.data.histories import Histories
from imtlib.data.log import BehaviourLog
from imtlib.errors import LogError
from imtlib.lists import recommend
from imtlib.types import Float32Array, FloatArray

BLOCK = 256
"""Histories scored at a time: it bounds the memory and changes no result."""


class Popularity:
    """Every user is offered the items with the most events: $p(i) \\propto n_i + 1$.

    Args:
        log: what is counted.

    Raises:
        LogError: the log holds no event.
    """

    def __init__(self, log: BehaviourLog) -> None:
        self.catalogue = log.catalogue
        self.share = _popularity(log)

    def score(self, histories: Histories) -> Float32Array:
        """Compute log p of the next item, float32 `(n, N)`; the same row for all."""
        _check(self.catalogue, histories)
        return np.tile(np.log(self.share).astype(np.float32), (len(histories), 1))

    recommend = recommend


class RecentPopularity:
    """What many chose lately is offered to all: $p(i) \\propto n_i(t) + a\\,p_i$.

    $n_i(t)$ counts the events of item i in the last `days` before t, the time of the request or, if the log
    ends earlier, its end; p is the popularity over the whole log.

    Args:
        log: what is counted.
        days: how far back.
        smoothing: a > 0, how many events the popularity is worth.

    Raises:
        LogError: the log holds no event.
        ValueError: `days` or `smoothing` is not positive.
    """

    def __init__(self, log: BehaviourLog, days: float = 7.0, smoothing: float = 10.0) -> None:
        if days <= 0 or smoothing <= 0:
            raise ValueError(f"days={days} and smoothing={smoothing} must be positive")
        self.catalogue = log.catalogue
        self.span, self.smoothing = round(days * 86_400), smoothing
        self.share = _popularity(log)
        order = np.argsort(log.time, kind="stable")
        self._time, self._item = log.time[order], log.item[order]

    def score(self, histories: Histories) -> Float32Array:
        """Compute log p of the next item, float32 `(n, N)`."""
        _check(self.catalogue, histories)
        moment = np.minimum(histories.request_time, self._time[-1] + 1)
        first = np.searchsorted(self._time, moment - self.span)
        end = np.searchsorted(self._time, moment)
        p = np.empty((len(histories), len(self.share)), np.float32)
        for row, (a, b) in enumerate(zip(first, end, strict=True)):
            count = np.bincount(self._item[a:b], minlength=len(self.share))
            p[row] = np.log((count + self.smoothing * self.share) / (b - a + self.smoothing))
        return p

    recommend = recommend


class Transitions:
    """A one-step Markov chain over items, $p(j \\mid i) = (n_{ij} + a\\,p_j) / (n_i + a)$.

    $n_{ij}$ counts how often item j directly follows item i, $n_i$ how often anything does, and p is the
    popularity, which is also the answer to an empty history.

    Args:
        log: what is counted.
        smoothing: a > 0, how many events the popularity is worth.

    Raises:
        LogError: the log holds no event.
        ValueError: `smoothing` is not positive.
    """

    def __init__(self, log: BehaviourLog, smoothing: float = 10.0) -> None:
        self.catalogue = log.catalogue
        self._successors = _Successors(log, smoothing)

    def score(self, histories: Histories) -> Float32Array:
        """Compute log p of the next item, float32 `(n, N)`."""
        _check(self.catalogue, histories)
        return self._successors.pooled(histories, np.ones(1))

    recommend = recommend


class SmoothedTransitions:
    """The Markov chain asked from each of the last items, and the answers averaged.

    $$p(j) = \\sum_{l=1}^{\\text{last}} d^{\\,l-1} p(j \\mid i_{T+1-l})
    \\Big/ \\sum_{l=1}^{\\text{last}} d^{\\,l-1},$$

    p(j | i) as in `Transitions`; a shorter history sums over what it has.

    Args:
        log: what is counted.
        last: how many items are asked.
        decay: d, weight of an item relative to the one after it.
        smoothing: a > 0, how many events the popularity is worth.

    Raises:
        LogError: the log holds no event.
        ValueError: `last`, `decay` or `smoothing` is not positive.
    """

    def __init__(
        self, log: BehaviourLog, last: int = 10, decay: float = 0.8, smoothing: float = 10.0
    ) -> None:
        if last < 1 or decay <= 0:
            raise ValueError(f"last={last} and decay={decay} must be positive")
        self.catalogue = log.catalogue
        self._weights: FloatArray = np.power(float(decay), np.arange(last))
        self._successors = _Successors(log, smoothing)

    def score(self, histories: Histories) -> Float32Array:
        """Compute log p of the next item, float32 `(n, N)`."""
        _check(self.catalogue, histories)
        return self._successors.pooled(histories, self._weights)

    recommend = recommend


class _Successors:
    """What followed each item and how often: the non-zero counts, row after row."""

    def __init__(self, log: BehaviourLog, smoothing: float) -> None:
        if smoothing <= 0:
            raise ValueError(f"smoothing={smoothing} must be positive")
        self.share = _popularity(log)
        items = len(self.share)
        within = np.ones(len(log), bool)
        within[log.starts[:-1][log.lengths > 0]] = False
        arrival = np.flatnonzero(within)
        pair, count = np.unique(
            log.item[arrival - 1] * np.int64(items) + log.item[arrival], return_counts=True
        )
        self.starts = np.searchsorted(pair, np.arange(items + 1) * np.int64(items))
        self.to = pair % items
        left = np.bincount(pair // items, weights=count, minlength=items)
        self.weight = count / (left + smoothing)[pair // items]
        self.counted = left / (left + smoothing)

    def pooled(self, histories: Histories, weights: FloatArray) -> Float32Array:
        blocks = [np.zeros((0, len(self.share)), np.float32)]
        for start in range(0, len(histories), BLOCK):
            blocks.append(self._pooled(histories.take(slice(start, start + BLOCK)), weights))
        return np.concatenate(blocks)

    def _pooled(self, histories: Histories, weights: FloatArray) -> Float32Array:
        n, items = len(histories), len(self.share)
        row, source, weight = _last_items(histories, weights)
        size = self.starts[source + 1] - self.starts[source]
        each = np.repeat(np.arange(len(source)), size)
        _, entry = windows(self.starts[source], size)
        cell = row[each] * items + self.to[entry]
        p = np.bincount(cell, weight[each] * self.weight[entry], minlength=n * items).reshape(n, items)
        known = np.bincount(row, weight * self.counted[source], minlength=n)
        return np.log(p + (1 - known)[:, None] * self.share).astype(np.float32)


def _last_items(histories: Histories, weights: FloatArray) -> tuple[NDArray[Any], NDArray[Any], FloatArray]:
    """Row, item and weight of the last items of each history; the weights of a row sum to one."""
    length = histories.lengths
    row, lag = np.nonzero(np.arange(len(weights)) < length[:, None])
    total = np.concatenate([[0.0], np.cumsum(weights)])[np.minimum(length, len(weights))]
    return row, histories.item[histories.starts[row + 1] - 1 - lag], weights[lag] / total[row]


def _popularity(log: BehaviourLog) -> FloatArray:
    if len(log) == 0:
        raise LogError("the log holds no event: there is nothing to count")
    count = np.bincount(log.item, minlength=len(log.catalogue.items)) + 1.0
    share: FloatArray = count / count.sum()
    return share


def _check(catalogue: Catalogue, histories: Histories) -> None:
    fix = "Make the baseline for this log."
    catalogue.require_same(histories.catalogue, "the log that was counted", "the histories", fix)
