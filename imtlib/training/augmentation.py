"""Augmentation (数据增强): histories that could have been, to learn from beside those that were.

The article advises it. Back-translation, which it names, is for text; for events the like are to crop a
history, to mask the items of some events, and to change the order of neighbours (Xie et al., Contrastive
Learning for Sequential Recommendation, ICDE 2022); and, near to masking, to leave events out or to put
another item in an event's place. Cropping is what every epoch does
(`imtlib.training.batches.TrainingBatches`); the other four are here, off unless asked for by
`imtlib.config.Augmentation`.
"""

from __future__ import annotations

import numpy as np

from imtlib.data.inputs import HIDDEN
from imtlib.types import BoolArray, FloatArray, IntArray, TimeArray

LENGTH = 4
"""Neighbours that change places with one another."""


def kept_events(starts: TimeArray, share: float, rng: np.random.Generator) -> BoolArray:
    """Choose which events of n windows are not left out; the first and the last of each always stay.

    Args:
        starts: int64 `(n + 1,)`; window r holds the events from `starts[r]` to `starts[r + 1]`.
        share: chance of every other event to be left out.
        rng: for the draw.

    Returns:
        bool `(starts[-1],)`.
    """
    stays: BoolArray = rng.random(starts[-1]) >= share
    stays[starts[:-1]] = stays[starts[1:] - 1] = True
    return stays


def substituted(
    item: IntArray, length: IntArray, popularity: FloatArray, share: float, rng: np.random.Generator
) -> IntArray:
    """Replace some of the real items by others, drawn by popularity.

    Args:
        item: codes, int32 `(B, T)`, padded on the right.
        length: how many are real, int32 `(B,)`.
        popularity: chance of each item of the catalogue, float64 `(N,)`.
        share: chance of a real item to be replaced.
        rng: for the draw.

    Returns:
        Codes, int32 `(B, T)`.
    """
    other = rng.choice(len(popularity), item.shape, p=popularity).astype(np.int32)
    real = np.arange(item.shape[1]) < length[:, None]
    return np.where(real & (rng.random(item.shape) < share), other, item)


def reordered(
    length: IntArray, width: int, share: float, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """Draw a new order of the events of each history, and say where it may be learnt from.

    Args:
        length: events of each history, int32 `(B,)`.
        width: T.
        share: chance of a history to have `LENGTH` neighbours shuffled.
        rng: for the draw.

    Returns:
        Which event stands at each place, int32 `(B, T)`; and bool `(B, T + 1)`: whether the event after
        position t is surely still ahead, which it is not within a run whose order was changed.
    """
    rows = len(length)
    order = np.tile(np.arange(width), (rows, 1))
    first = (rng.random(rows) * np.maximum(length - LENGTH + 1, 1)).astype(int)
    chosen = (rng.random(rows) < share) & (length >= LENGTH)
    for row in np.flatnonzero(chosen):
        run = slice(first[row], first[row] + LENGTH)
        order[row, run] = rng.permutation(order[row, run])
    position = np.arange(width + 1)
    inside = (position > first[:, None]) & (position < first[:, None] + LENGTH)
    return order.astype(np.int32), ~(inside & chosen[:, None])


def masked(item: IntArray, length: IntArray, share: float, rng: np.random.Generator) -> IntArray:
    """Hide some of the real items.

    Args:
        item: codes, int32 `(B, T)`, padded on the right.
        length: how many are real, int32 `(B,)`.
        share: chance of a real item to be hidden.
        rng: for the draw.

    Returns:
        Codes, int32 `(B, T)`; `HIDDEN` in place of some.
    """
    real = np.arange(item.shape[1]) < length[:, None]
    return np.where(real & (rng.random(item.shape) < share), np.int32(HIDDEN), item)
