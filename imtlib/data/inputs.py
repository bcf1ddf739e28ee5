"""From ragged histories to the padded integer arrays that a model takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imtlib.data.histories import Histories
from imtlib.types import IntArray, TimeArray

Arrays = dict[str, NDArray[Any]]

GAP_BUCKETS = 32
"""Time gaps are counted in powers of two of a second; the last bucket begins at 68 years."""

HIDDEN = -1
"""Stands for the code of an item that is not to be seen: its vector is zero, and it has no interest."""


def gap_bucket(seconds: TimeArray) -> IntArray:
    """Sort time gaps into buckets: 0 for none, else one more than the whole part of its base-2 logarithm.

    Args:
        seconds: gaps, int64, any shape; a negative gap counts as none.

    Returns:
        int32 of the same shape, from 0 to 31: 0 s → 0, 1 s → 1, 2–3 s → 2, a day → 17.
    """
    bucket = np.ceil(np.log2(np.maximum(seconds, 0) + 1.0))
    return np.minimum(bucket, GAP_BUCKETS - 1).astype(np.int32)


def inputs(histories: Histories, max_length: int) -> Arrays:
    """Pad histories on the right, each cut to its last `max_length` events.

    Args:
        histories: n histories.
        max_length: events kept; older ones are left out.

    Returns:
        `item`, `scenario`, `behaviour`, `gap` (`gap_bucket` of the time since the event before; 0 at the
        first that is kept): int32 `(n, T)`, T the longest kept history and at least 2;
        `length`: int32 `(n,)`;
        `request_scenario`, `request_gap`: int32 `(n, T + 1)`, at position t the scenario of the event
        that follows and the time until it, at position `length` those of the request; `profile`:
        float32 `(n, P)`.
    """
    whole = histories.lengths
    length = np.minimum(whole, max_length).astype(np.int32)
    width = max(int(length.max(initial=0)), 2)
    column = np.arange(width)
    real = column < length[:, None]
    event = np.where(real, (histories.starts[1:] - length)[:, None] + column, 0)

    def pad(values: NDArray[Any]) -> IntArray:
        if len(values) == 0:
            return np.zeros(real.shape, np.int32)
        return np.where(real, values[event], 0).astype(np.int32)

    scenario, gap = pad(histories.scenario), pad(gap_bucket(np.diff(histories.time, prepend=0)))
    gap[:, 0] = 0
    last = np.where(whole > 0, histories.starts[1:] - 1, 0)
    since = histories.request_time - histories.time[last] if len(histories.time) else np.zeros_like(whole)
    rows = np.arange(len(length))

    def ahead(values: IntArray, at_request: IntArray) -> IntArray:
        shifted = np.concatenate([values, np.zeros((len(length), 1), np.int32)], axis=1)
        shifted[rows, length] = at_request
        return shifted

    return {
        "item": pad(histories.item),
        "scenario": scenario,
        "behaviour": pad(histories.behaviour),
        "gap": gap,
        "length": length,
        "request_scenario": ahead(scenario, histories.request_scenario),
        "request_gap": ahead(gap, np.where(whole > 0, gap_bucket(since), 0)),
        "profile": histories.profile,
    }


def by_length(histories: Histories, batch: int) -> Iterator[IntArray]:
    """Batch rows of like length, so that little is padding.

    Yields:
        int row numbers, at most `batch` a time; each row once.
    """
    order = np.argsort(histories.lengths, kind="stable")
    for start in range(0, len(order), batch):
        yield order[start : start + batch].astype(np.int32)
