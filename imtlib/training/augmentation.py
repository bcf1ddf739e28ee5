"""Augmentation (数据增强): histories that could have been, to learn from beside those that were.

The article advises it. Back-translation, which it names, is for text; for events the like are to crop a
history, to mask the items of some events, and to change the order of neighbours (Xie et al., Contrastive
Learning for Sequential Recommendation, ICDE 2022); and, near to masking, to leave events out or to put
another item in an event's place. Cropping is what every epoch does
(`imtlib.training.batches.TrainingBatches`); the other four are here, off unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imtlib.data.inputs import HIDDEN
from imtlib.types import IntArray, TimeArray

LENGTH = 4
"""Neighbours that change places with one another."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to the windows that training reads, anew in every epoch.

    Attributes:
        leave_out: share of the events that are left out; what came after them is the next event that stayed.
        substitute: share of the events whose item is replaced by one drawn by popularity. The event stays a
            target as it was.
        reorder: share of the histories in which `LENGTH` neighbours change places. What such a run would
            give away, the items within it, is not learnt from.
        mask: share of the events whose item is hidden, `imtlib.data.inputs.HIDDEN` in place of its code. The
            event stays a target as it was.

    Raises:
        ValueError: a share is not between 0 and 1, or `leave_out` is 1.
    """

    leave_out: float = 0.0
    substitute: float = 0.0
    reorder: float = 0.0
    mask: float = 0.0

    def __post_init__(self) -> None:
        for name, share in vars(self).items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name}={share} is a share: it must lie between 0 and 1")
        if self.leave_out == 1:
            raise ValueError("leave_out=1 would leave nothing to learn from")

    def staying(self, starts: TimeArray, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which events of n windows are not left out; the first and the last of each always stay.

        Args:
            starts: int64 `(n + 1,)`; window r holds the events from `starts[r]` to `starts[r + 1]`.

        Returns:
            bool `(starts[-1],)`.
        """
        stays: NDArray[np.bool_] = rng.random(starts[-1]) >= self.leave_out
        stays[starts[:-1]] = stays[starts[1:] - 1] = True
        return stays

    def substituted(
        self, item: IntArray, length: IntArray, popularity: NDArray[np.float64], rng: np.random.Generator
    ) -> IntArray:
        """Items, some of the real ones replaced.

        Args:
            item: codes, int32 `(B, T)`, padded on the right.
            length: how many are real, int32 `(B,)`.
            popularity: chance of each item of the catalogue, `(N,)`.
        """
        other = rng.choice(len(popularity), item.shape, p=popularity).astype(np.int32)
        real = np.arange(item.shape[1]) < length[:, None]
        return np.where(real & (rng.random(item.shape) < self.substitute), other, item)

    def reordered(
        self, length: IntArray, width: int, rng: np.random.Generator
    ) -> tuple[IntArray, NDArray[np.bool_]]:
        """A new order of the events of each history, and where it may be learnt from.

        Args:
            length: events of each history, int32 `(B,)`.
            width: T.

        Returns:
            Which event stands at each place, int `(B, T)`; and bool `(B, T + 1)`: whether the event after
            position t is surely still ahead, which it is not within a run whose order was changed.
        """
        rows = len(length)
        order = np.tile(np.arange(width), (rows, 1))
        first = (rng.random(rows) * np.maximum(length - LENGTH + 1, 1)).astype(int)
        chosen = (rng.random(rows) < self.reorder) & (length >= LENGTH)
        for row in np.flatnonzero(chosen):
            run = slice(first[row], first[row] + LENGTH)
            order[row, run] = rng.permutation(order[row, run])
        position = np.arange(width + 1)
        inside = (position > first[:, None]) & (position < first[:, None] + LENGTH)
        return order.astype(np.int32), ~(inside & chosen[:, None])

    def masked(self, item: IntArray, length: IntArray, rng: np.random.Generator) -> IntArray:
        """Items, some of the real ones hidden.

        Args:
            item: codes, int32 `(B, T)`, padded on the right.
            length: how many are real, int32 `(B,)`.
        """
        real = np.arange(item.shape[1]) < length[:, None]
        return np.where(real & (rng.random(item.shape) < self.mask), np.int32(HIDDEN), item)
