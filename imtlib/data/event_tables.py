"""The events of a log, in one table or in one for each scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from imtlib.data.table_files import FileFormat
from imtlib.data.tables import Table, TableSource, load_table
from imtlib.data.times import Times, TimeUnit, order_as_time
from imtlib.errors import LogError
from imtlib.types import IntArray

Names = tuple[str, ...]


@dataclass(frozen=True)
class EventTables:
    """The tables of events, one after the other, and what their columns are called."""

    files: dict[str, Table]
    scenario: str | None
    behaviour: str | None
    time: str | None

    @property
    def first(self) -> Table:
        """The first of the tables."""
        return next(iter(self.files.values()))

    def names(self, column: str, fix: str, apart: bool = False) -> tuple[IntArray, Names]:
        """Codes and names over all tables; `apart` puts a table's scenario before each of its names."""
        place: dict[str, int] = {}
        parts = []
        for where, table in self.files.items():
            codes, names = table.names(column, fix)
            own = [f"{where}/{name}" for name in names] if apart else names
            parts.append(np.array([place.setdefault(name, len(place)) for name in own], np.int32)[codes])
        return np.concatenate(parts), tuple(place)

    def scenarios(self, by_file: bool) -> tuple[IntArray, Names]:
        """Codes and names of the scenarios, a table each or as their column says."""
        if by_file:
            rows = [len(table.frame) for table in self.files.values()]
            return np.repeat(np.arange(len(rows), dtype=np.int32), rows), tuple(self.files)
        return self._names_or_one("scenario", self.scenario, "all")

    def behaviours(self) -> tuple[IntArray, Names]:
        """Codes and names of the behaviours."""
        return self._names_or_one("behaviour", self.behaviour, "event")

    def _names_or_one(self, kind: str, column: str | None, only: str) -> tuple[IntArray, Names]:
        if column is None:
            rows = sum(len(table.frame) for table in self.files.values())
            return np.zeros(rows, np.int32), (only,)
        fix = f"Say which column holds it, {kind}='…', or {kind}=None if the log has one only."
        return self.names(column, fix)

    def times(self, unit: TimeUnit | None, form: str | None) -> tuple[Times, list[str]]:
        """The times of all events, and notes on them."""
        tables = self.files.values()
        if self.time is None:
            parts = [order_as_time(sum(len(table.frame) for table in tables))]
        else:
            parts = [table.times(self.time, unit, form) for table in tables]
        whole = np.concatenate([part.seconds for part in parts])
        exact = np.concatenate([part.exact for part in parts])
        return Times(whole, exact), list(dict.fromkeys(note for part in parts for note in part.notes))

    def cells(self, column: str) -> pd.Series[Any]:
        """The cells of a column of all tables."""
        fix = "Say which column of the events holds them, interests='…', or give an items table."
        parts = [table.column(column, fix) for table in self.files.values()]
        return pd.concat(parts, ignore_index=True)

    def error(self, row: int, column: str, problem: str) -> LogError:
        """Make an error about a row, counted through all tables."""
        for table in self.files.values():
            if row < len(table.frame):
                break
            row -= len(table.frame)
        return table.error(row, column, problem)


def load_events(source: TableSource | Mapping[str, TableSource], form: FileFormat) -> dict[str, Table]:
    """Load the tables of events, by scenario; a single one has an empty name."""
    if not isinstance(source, Mapping):
        return {"": load_table(source, "the events", form=form)}
    if not source:
        raise LogError("the dictionary of events is empty: give a file or a DataFrame for each scenario.")
    return {str(name): load_table(part, f"the events of {name}", form=form) for name, part in source.items()}


def refuse_collisions(events: EventTables, code: IntArray, names: Names) -> None:
    """Refuse names that stand in several files, as long as nobody has said what that means."""
    where = events.scenarios(by_file=True)[0]
    pairs = np.unique(np.stack([code, where]), axis=1)
    twice = np.flatnonzero(np.bincount(pairs[0]) > 1)
    if len(twice):
        files = [list(events.files)[file] for file in pairs[1][pairs[0] == twice[0]]]
        raise LogError(
            f"{len(twice):,} names of items stand in several scenarios, such as {names[twice[0]]!r} in "
            f"{' and '.join(map(repr, files[:2]))}. Say shared_items=True if they are the same items, or "
            f"shared_items=False if each scenario counts its own."
        )


def refuse_repeated_headers(
    events: EventTables, user: tuple[str, IntArray, Names], item: tuple[str, IntArray, Names]
) -> None:
    """Refuse a line of names among the data, as files have that were put together from several.

    Args:
        events: the tables.
        user, item: the name of the column, the code of each row, and the names.
    """
    same = np.logical_and.reduce(
        [
            codes == names.index(column) if column in names else codes < 0
            for column, codes, names in (user, item)
        ]
    )
    if same.any():
        problem = "this row repeats the names of the columns: take it out."
        raise events.error(int(same.argmax()), user[0], problem)
