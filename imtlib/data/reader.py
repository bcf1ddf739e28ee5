"""From a table of events, in a file or a DataFrame, to a log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from imtlib.data.catalogue import OTHER, Catalogue
from imtlib.data.log import BehaviourLog
from imtlib.data.tables import Table, TableSource, load_table
from imtlib.types import BoolArray, IntArray


def read_log(
    source: TableSource,
    *,
    items: TableSource | None = None,
    users: TableSource | None = None,
    user: str = "user",
    item: str = "item",
    scenario: str | None = "scenario",
    behaviour: str | None = "behaviour",
    time: str = "time",
    interests: str | None = "interests",
    interest_separator: str = "|",
) -> BehaviourLog:
    """Read a log from a table with one row an event, in any order.

    Each table is a DataFrame or the path of a `.csv`, `.tsv` (either may end in `.gz`) or `.parquet` file.
    Names are text: the number 1, 1.0 in a column of whole numbers, and "1" are the same name. Events that
    share a time keep the order of the table. Nothing is dropped; what is unusual is counted in `notes`.

    Args:
        source: the events.
        items: one row an item: its interests, and features in all other columns.
        users: one row a user; every other column is a feature with categories, part of the profile.
        user: column of the user's name, in the events and in `users`.
        item: column of the item's name, in the events and in `items`.
        scenario: column of the scenario; None if the log has one only, which is then called "all".
        behaviour: column of the behaviour; None if the log has one only, which is then called "event".
        time: column of the time: seconds since 1970, datetimes, or ISO 8601 text; without a time zone, UTC.
        interests: column of an item's interests in `items`; None if there are none.
        interest_separator: what stands between two interests of an item. A column of lists needs none.

    Returns:
        The log. Items and users have the order of their table, then of first appearance in the events;
        scenarios and behaviours that of first appearance; interests are sorted, with "other" last.

    Raises:
        LogError: a file is empty or cannot be read; a column is missing; an id is missing, or ids have mixed
            types; a time is missing or cannot be read; an item or a user stands twice in its table.
        FileNotFoundError: there is no such file.
    """
    events = load_table(source, "the events")
    user_code, seen_users = events.names(user, "Say which column holds the user: user='…'.")
    item_code, seen_items = events.names(item, "Say which column holds the item: item='…'.")
    scenario_code, scenarios = _names_or_one(events, "scenario", scenario, "all")
    behaviour_code, behaviours = _names_or_one(events, "behaviour", behaviour, "event")
    seconds, exact = events.times(time)

    notes: list[str] = []
    item_table = None if items is None else load_table(items, "the items", text=_texts(item, interests))
    user_table = None if users is None else load_table(users, "the users")
    item_names = _table_names(item_table, item, "item")
    user_names = _table_names(user_table, user, "user")
    item_code, item_names = _align(item_names, item_code, seen_items)
    user_code, user_names = _align(user_names, user_code, seen_users)
    if user_table is not None:
        silent = len(user_names) - len(seen_users)
        _note(notes, silent, "users of the users table have no event; they are kept, with an empty history.")
        strange = len(user_names) - len(user_table.frame)
        _note(notes, strange, "users are not in the users table; their features are unknown.")
    if item_table is not None:
        strange = len(item_names) - len(item_table.frame)
        _note(notes, strange, f"items are not in the items table; their interest is {OTHER!r}.")

    kinds, membership = _interests(item_table, interests, interest_separator, len(item_names), notes)
    user_features = _user_features(user_table, user, user_names)
    order = np.lexsort((exact, user_code))
    codes = np.stack([user_code, item_code, scenario_code, behaviour_code])[:, order]
    seconds = seconds[order]
    repeated = int(pd.DataFrame(dict(enumerate([*codes, seconds]))).duplicated().sum())
    _note(
        notes,
        repeated,
        "events repeat an earlier one (user, item, scenario, behaviour and time); they are kept.",
    )
    fractions = not np.issubdtype(exact.dtype, np.datetime64) and bool((exact != np.floor(exact)).any())
    if fractions:
        notes.append("Times were rounded down to whole seconds, after the events had been put in order.")
    catalogue = Catalogue(
        item_names,
        scenarios,
        behaviours,
        kinds,
        membership,
        {name: _sorted(user_features[name].dropna()) for name in user_features.columns},
    )
    return BehaviourLog(
        catalogue=catalogue,
        users=user_names,
        starts=np.searchsorted(codes[0], np.arange(len(user_names) + 1)).astype(np.int64),
        item=codes[1],
        scenario=codes[2],
        behaviour=codes[3],
        time=seconds,
        item_features=_item_features(item_table, _texts(item, interests), item_names),
        user_features=user_features,
        notes=tuple(notes),
    )


def _names_or_one(table: Table, kind: str, column: str | None, only: str) -> tuple[IntArray, tuple[str, ...]]:
    if column is None:
        return np.zeros(len(table.frame), np.int32), (only,)
    return table.names(
        column, f"Say which column holds it, {kind}='…', or {kind}=None if the log has one only."
    )


def _texts(item: str, interests: str | None) -> list[str]:
    return [item] if interests is None else [item, interests]


def _table_names(table: Table | None, column: str, kind: str) -> tuple[str, ...]:
    """The names in the order of their table, each of which must be another."""
    if table is None:
        return ()
    codes, names = table.names(column, f"The {kind} needs the same column name here as in the events.")
    if len(names) < len(codes):
        row = int(pd.Series(codes).duplicated().to_numpy().argmax())
        first = int((codes == codes[row]).argmax())
        problem = f"{kind} {names[codes[row]]!r} stands in row {first + 1} already. Keep one row for each."
        raise table.error(row, column, problem)
    return names


def _align(
    known: tuple[str, ...], codes: IntArray, seen: tuple[str, ...]
) -> tuple[IntArray, tuple[str, ...]]:
    """Codes over the known names, followed by those only seen."""
    place = {name: code for code, name in enumerate(dict.fromkeys([*known, *seen]))}
    return np.array([place[name] for name in seen], np.int32)[codes], tuple(place)


def _note(notes: list[str], count: int, sentence: str) -> None:
    if count:
        notes.append(f"{count:,} {sentence}")


def _interests(
    table: Table | None, column: str | None, separator: str, n: int, notes: list[str]
) -> tuple[tuple[str, ...], BoolArray]:
    """The interests, and which item has which, bool `(n, K)`."""
    sets: list[list[str]] = [[] for _ in range(n)]
    if table is not None and column is not None:
        cells = table.column(
            column, "Say which column holds them, interests='…', or interests=None if none does."
        )
        for row, cell in enumerate(cells):
            sets[row] = _split(cell, separator)
        without = sum(not names for names in sets[: len(cells)])
        _note(notes, without, f"items of the items table have no interest; they get {OTHER!r}.")
    sets = [names or [OTHER] for names in sets]
    found = {name for names in sets for name in names}
    kinds = (*sorted(found - {OTHER}), *(found & {OTHER}))
    place = {name: code for code, name in enumerate(kinds)}
    membership = np.zeros((n, len(kinds)), np.bool_)
    rows = np.repeat(np.arange(n), [len(names) for names in sets])
    membership[rows, [place[name] for names in sets for name in names]] = True
    return kinds, membership


def _split(cell: Any, separator: str) -> list[str]:
    if isinstance(cell, str):
        parts: Iterable[Any] = cell.split(separator)
    elif isinstance(cell, (list, tuple, set, np.ndarray)):
        parts = cell
    else:
        parts = [] if pd.isna(cell) else [cell]
    return [name for part in parts if (name := str(part).strip())]


def _item_features(table: Table | None, apart: list[str], names: tuple[str, ...]) -> pd.DataFrame:
    index = pd.Index(names, dtype="str", name="item")
    if table is None:
        return pd.DataFrame(index=index)
    return _extend(table.frame.drop(columns=apart), index)


def _user_features(table: Table | None, column: str, names: tuple[str, ...]) -> pd.DataFrame:
    index = pd.Index(names, dtype="str", name="user")
    if table is None:
        return pd.DataFrame(index=index)
    features = {}
    for name in table.frame.columns.drop(column):
        codes, known = table.categories(name)
        features[str(name)] = pd.Series(np.array([*known, None], object)[codes], dtype="str")
    return _extend(pd.DataFrame(features, index=range(len(table.frame))), index)


def _extend(features: pd.DataFrame, index: pd.Index[Any]) -> pd.DataFrame:
    """Features by name; unknown for the names that follow those of the table."""
    return features.set_index(index[: len(features)]).reindex(index)


def _sorted(categories: pd.Series[Any]) -> tuple[str, ...]:
    """Distinct categories; numbers by size, before text."""

    def key(text: str) -> tuple[bool, int, str]:
        number = text.isdecimal()
        return not number, int(text) if number else 0, text

    return tuple(sorted(set(categories), key=key))
