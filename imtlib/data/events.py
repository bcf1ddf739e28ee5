"""Events in rows of any length: what a log has of its users, and histories of their requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.types import BoolArray, IntArray, TimeArray


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """Events in n rows of any length, one row after the other, each in order of time.

    Attributes:
        catalogue: what the codes mean: names and interests.
        starts: where rows begin, int64 `(n + 1,)`: row r holds the events `starts[r]` to `starts[r + 1]`.
            A row may be empty.
        item, scenario, behaviour: codes, int32 `(events,)`.
        time: seconds since 1970 (UTC), int64 `(events,)`.
    """

    catalogue: Catalogue
    starts: TimeArray
    item: IntArray
    scenario: IntArray
    behaviour: IntArray
    time: TimeArray

    def __repr__(self) -> str:
        rows, longest = len(self.lengths), self.lengths.max(initial=0)
        return f"{type(self).__name__}: {rows:,} rows, {len(self.item):,} events, at most {longest:,} a row"

    @property
    def lengths(self) -> TimeArray:
        """How many events each row has, int64 `(n,)`."""
        return np.diff(self.starts)

    @property
    def owner(self) -> TimeArray:
        """The row that each event belongs to, int64 `(events,)`."""
        return np.repeat(np.arange(len(self.starts) - 1), self.lengths)

    @property
    def place(self) -> TimeArray:
        """The place of each event within its row, from 0, int64 `(events,)`."""
        return np.arange(len(self.item)) - np.repeat(self.starts[:-1], self.lengths)

    def filter(self, keep: BoolArray) -> Self:
        """Keep the chosen events alone; all rows stay, and may become empty.

        Args:
            keep: which events stay, bool `(events,)`.
        """
        starts = np.concatenate([[0], np.cumsum(keep)])[self.starts].astype(np.int64)
        return replace(self, catalogue=self.catalogue, starts=starts, **self._columns(keep))

    def take(self, rows: slice | IntArray | TimeArray) -> Events:
        """Take rows, in the given order.

        Args:
            rows: int `(m,)`, or a slice; a row may be taken more than once.

        Returns:
            m rows.
        """
        return self.gather(*windows(self.starts[:-1][rows], self.lengths[rows]))

    def gather(self, starts: TimeArray, events: TimeArray) -> Events:
        """Gather events into new rows.

        Args:
            starts: where the m new rows begin in `events`, int64 `(m + 1,)`.
            events: which events they hold, int `(starts[m],)`, such as `windows` gives.

        Returns:
            m rows.
        """
        return Events(self.catalogue, starts, **self._columns(events))

    def padded(self, values: NDArray[Any], fill: int = -1) -> NDArray[Any]:
        """Lay events out as a table, one line a row, filled up on the right.

        Args:
            values: of each event, `(events,)`.
            fill: what follows the last event of a row.

        Returns:
            `(n, T)`, T the length of the longest row, of the type of `values`.
        """
        table = np.full((len(self.lengths), int(self.lengths.max(initial=0))), fill, values.dtype)
        table[self.owner, self.place] = values
        return table

    def _columns(self, chosen: BoolArray | TimeArray) -> dict[str, NDArray[Any]]:
        return {
            "item": self.item[chosen],
            "scenario": self.scenario[chosen],
            "behaviour": self.behaviour[chosen],
            "time": self.time[chosen],
        }


def windows(first: TimeArray, lengths: TimeArray) -> tuple[TimeArray, TimeArray]:
    """Number the events of windows, one window after the other.

    Args:
        first: the event that each window begins with, int `(m,)`.
        lengths: how many events it holds, int `(m,)`.

    Returns:
        Where each window begins among the numbers, int64 `(m + 1,)`; the numbers, int64.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return starts, np.repeat(first - starts[:-1], lengths) + np.arange(starts[-1])
