"""From tables of events, in files or DataFrames, to a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imtlib.data.catalogue import OTHER, Catalogue
from imtlib.data.cells import NOBODY, UnfitCellError, near_twins
from imtlib.data.event_tables import (
    EventTables,
    Names,
    load_events,
    refuse_collisions,
    refuse_repeated_headers,
)
from imtlib.data.interests import looks_separated, membership, split_interests
from imtlib.data.log import BehaviourLog
from imtlib.data.table_files import FileFormat
from imtlib.data.tables import Table, TableSource, load_table
from imtlib.data.times import TimeUnit
from imtlib.data.user_features import chosen_features, sorted_categories
from imtlib.errors import LogError
from imtlib.types import IntArray

INTERESTS = "interests"


def read_log(
    source: TableSource | Mapping[str, TableSource],
    *,
    items: TableSource | Mapping[str, TableSource] | None = None,
    users: TableSource | None = None,
    user: str = "user",
    item: str = "item",
    scenario: str | None = "scenario",
    behaviour: str | None = "behaviour",
    time: str | None = "time",
    interests: str | None = INTERESTS,
    interest_separator: str = "|",
    user_features: Sequence[str] = (),
    shared_items: bool | None = None,
    sep: str | None = None,
    encoding: str = "utf-8-sig",
    header: Sequence[str] | None = None,
    time_unit: TimeUnit | None = None,
    time_format: str | None = None,
) -> BehaviourLog:
    """Read a log from a table with one row an event, in any order.

    Each table is a DataFrame or the path of a `.csv`, `.tsv`, `.jsonl` or `.json` file (which may end in
    `.gz`, `.bz2`, `.xz` or `.zip`), or of a `.parquet` or `.xlsx` one. Names are text: the number 1, 1.0 in a
    column of whole numbers, and "1" are the same name. Events that share a time keep the order of the table.
    Nothing is dropped; what is unusual is counted in `notes`.

    Args:
        source: the events; or, with one file a scenario, a dictionary of these by scenario.
        items: one row an item: its interests, and features in all other columns; or a dictionary by scenario.
        users: one row a user.
        user: column of the user's name, in the events and in `users`.
        item: column of the item's name, in the events and in `items`.
        scenario: column of the scenario; None if the log has one only, which is then called "all". A
            dictionary needs none.
        behaviour: column of the behaviour; None if the log has one only, which is then called "event".
        time: column of the time: seconds since 1970, datetimes, or ISO 8601 text; without a time zone, UTC.
            None for a log that has an order, that of its rows, and no clock.
        interests: column of an item's interests, in `items` or, without these, in the events; None if there
            are none.
        interest_separator: what stands between two interests of an item. A column of lists needs none.
        user_features: columns of `users` that the model may know: categories, part of the profile. Their
            values stand in every saved model.
        shared_items: for a dictionary of events, whether one name in two scenarios is one item; if not, the
            scenario is put before it, as in `"food/17"`. It must be said if names do stand in several.
        sep: what stands between two fields of a text file; by default as its ending says.
        encoding: of text files.
        header: names of the columns, if the first line of the events' text file is data already.
        time_unit: of numbers: `"D"`, `"h"`, `"min"`, `"s"`, `"ms"`, `"us"` or `"ns"`.
        time_format: of text, as `datetime.strptime` has it, such as `"%d/%m/%Y %H:%M"`.

    Returns:
        The log. Items and users have the order of their table, then of first appearance in the events;
        scenarios and behaviours that of first appearance; interests are sorted, with "other" last.

    Raises:
        LogError: a file is empty or cannot be read; a column is missing; an id is missing, or ids have mixed
            types; a time is missing or cannot be read; an item or a user stands twice in its table; no id of
            the events stands in it; nearly every user has a value of a feature alone.
        FileNotFoundError: there is no such file.
    """
    form = FileFormat(sep, encoding)
    apart = isinstance(source, Mapping) and shared_items is False
    files = load_events(source, FileFormat(sep, encoding, header))
    events = EventTables(files, None if isinstance(source, Mapping) else scenario, behaviour, time)
    user_code, seen_users = events.names(user, "Say which column holds the user: user='…'.")
    item_code, seen_items = events.names(item, "Say which column holds the item: item='…'.", apart)
    refuse_repeated_headers(events, (user, user_code, seen_users), (item, item_code, seen_items))
    if isinstance(source, Mapping) and shared_items is None:
        refuse_collisions(events, item_code, seen_items)
    scenario_code, scenarios = events.scenarios(isinstance(source, Mapping))
    behaviour_code, behaviours = events.behaviours()
    times, notes = events.times(time_unit, time_format)

    texts = [item] if interests is None else [item, interests]
    item_table = _item_table(items, texts, form, item, apart)
    user_table = None if users is None else load_table(users, "the users", form=form)
    listed_items = _table_names(item_table, item, "item")
    listed_users = _table_names(user_table, user, "user")
    _refuse_strangers(events, item, item_table, listed_items, seen_items)
    _refuse_strangers(events, user, user_table, listed_users, seen_users)
    item_code, item_names = _align(listed_items, item_code, seen_items)
    user_code, user_names = _align(listed_users, user_code, seen_users)
    notes += _doubtful("users", user_names) + _doubtful("items", item_names)
    notes += _doubtful("scenarios", scenarios) + _doubtful("behaviours", behaviours)
    notes += _absences(user_table, "user", listed_users, seen_users, user_names)
    notes += _absences(item_table, "item", listed_items, seen_items, item_names)

    sets, more = _interests(item_table, events, interests, interest_separator, item_code, len(item_names))
    kinds, held = membership(sets)
    features, unused = chosen_features(user_table, user, user_names, user_features)
    notes += more + unused
    order = np.lexsort((times.exact, user_code))
    codes = np.stack([user_code, item_code, scenario_code, behaviour_code])[:, order]
    whole = times.seconds[order]
    notes += _unusual(codes, whole, scenarios, kinds)
    if time is not None:
        notes += _ties(codes[0], times.exact[order])
    catalogue = Catalogue(
        item_names,
        scenarios,
        behaviours,
        kinds,
        held,
        {name: sorted_categories(features[name]) for name in features.columns},
    )
    return BehaviourLog(
        catalogue=catalogue,
        users=user_names,
        starts=np.searchsorted(codes[0], np.arange(len(user_names) + 1)).astype(np.int64),
        item=codes[1],
        scenario=codes[2],
        behaviour=codes[3],
        time=whole,
        item_features=_item_features(item_table, texts, item_names),
        user_features=features,
        notes=tuple(notes),
    )


def _item_table(
    source: TableSource | Mapping[str, TableSource] | None,
    texts: Sequence[str],
    form: FileFormat,
    item: str,
    apart: bool,
) -> Table | None:
    """The items; of several tables one, where the names of each have its scenario before them if apart."""
    if source is None:
        return None
    if not isinstance(source, Mapping):
        return load_table(source, "the items", texts, form)
    frames = []
    for where, part in source.items():
        table = load_table(part, f"the items of {where}", texts, form)
        codes, names = table.names(item, "The items need the same column name here as in the events.")
        prefix = f"{where}/" if apart else ""
        frames.append(table.frame.assign(**{item: [prefix + names[code] for code in codes]}))
    frame = pd.concat(frames, ignore_index=True)
    return Table(frame if apart else frame.drop_duplicates(item, ignore_index=True), "the items of all files")


def _table_names(table: Table | None, column: str, kind: str) -> Names:
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


def _refuse_strangers(
    events: EventTables, column: str, table: Table | None, listed: Names, seen: Names
) -> None:
    """Refuse a table that shares no name with the events: the names are written in two ways."""
    if table is not None and not set(listed) & set(seen):
        raise LogError(
            f"none of the {len(seen):,} names in column {column!r} of {events.first.name} stands in "
            f"{table.name}: they are such as {seen[0]!r} there and {listed[0]!r} here. Write both "
            f"the same way."
        )


def _align(known: Names, codes: IntArray, seen: Names) -> tuple[IntArray, Names]:
    """Codes over the known names, followed by those only seen."""
    place = {name: code for code, name in enumerate(dict.fromkeys([*known, *seen]))}
    return np.array([place[name] for name in seen], np.int32)[codes], tuple(place)


def _counted(count: int, sentence: str) -> list[str]:
    return [f"{count:,} {sentence}"] if count else []


def _doubtful(kind: str, names: Names) -> list[str]:
    """Names that may be meant as one, or as none."""
    twins, nobody = near_twins(names), [name for name in NOBODY if name in names]
    notes = []
    if twins:
        notes.append(
            f"{len(twins):,} names of {kind} differ from another in case, spaces or Unicode form alone, such "
            f"as {twins[0]!r}; they are kept apart."
        )
    if nobody and kind in ("users", "items"):
        fix = "if that says that none is known, take these events out."
        notes.append(f"One of the {kind} is called {nobody[0]!r}: {fix}")
    return notes


def _absences(table: Table | None, kind: str, listed: Names, seen: Names, names: Names) -> list[str]:
    if table is None:
        no_items = "There is no items table: of an item nothing is known but its name."
        return [no_items] if kind == "item" else []
    silent, strange = len(names) - len(seen), len(names) - len(listed)
    history = ", with an empty history" if kind == "user" else ""
    unknown = "their features are unknown" if kind == "user" else f"their interest is {OTHER!r}"
    return [
        *_counted(silent, f"{kind}s of the {kind}s table have no event; they are kept{history}."),
        *_counted(strange, f"{kind}s are not in the {kind}s table; {unknown}."),
    ]


def _interests(
    table: Table | None,
    events: EventTables,
    column: str | None,
    separator: str,
    item_code: IntArray,
    n: int,
) -> tuple[list[list[str]], list[str]]:
    """The interests of each item, and notes on them."""
    sets: list[list[str]] = [[] for _ in range(n)]
    if column is None:
        return sets, []
    if table is not None:
        fix = "Say which column holds them, interests='…', or interests=None if none does."
        cells, error = table.column(column, fix), table.error
    elif column != INTERESTS or all(column in file.frame for file in events.files.values()):
        cells, error = events.cells(column), events.error
    else:
        return sets, []
    found = _split(cells, column, separator, error)
    other = looks_separated(cells, separator)
    notes = []
    if other is not None:
        notes.append(
            f"No interest was split: most cells of {column!r} hold {other!r} and none {separator!r}. If it "
            f"stands between two interests, say interest_separator={other!r}."
        )
    if table is not None:
        sets[: len(found)] = found
        where = "of the items table"
    else:
        sets, changing = _by_item(found, item_code, n)
        notes += _counted(
            changing, f"items have other interests in one event than in another ({column!r}); all count."
        )
        where = "of the events"
    without = sum(not names for names in (sets[: len(found)] if table is not None else sets))
    return sets, [*notes, *_counted(without, f"items {where} have no interest; they get {OTHER!r}.")]


def _split(
    cells: pd.Series[Any], column: str, separator: str, error: Callable[[int, str, str], LogError]
) -> list[list[str]]:
    try:
        return split_interests(cells, separator)
    except UnfitCellError as unfit:
        raise error(unfit.row, column, unfit.problem) from None


def _by_item(found: list[list[str]], item_code: IntArray, n: int) -> tuple[list[list[str]], int]:
    """The interests that events give to each item; and how many items have not the same in all events."""
    pairs = pd.DataFrame({"item": item_code, "names": [tuple(names) for names in found]}).drop_duplicates()
    sets: list[list[str]] = [[] for _ in range(n)]
    for code, names in zip(pairs["item"], pairs["names"], strict=True):
        sets[code] = list(dict.fromkeys([*sets[code], *names]))
    return sets, int((pairs["item"].value_counts() > 1).sum())


def _item_features(table: Table | None, apart: list[str], names: Names) -> pd.DataFrame:
    index = pd.Index(names, dtype="str", name="item")
    if table is None:
        return pd.DataFrame(index=index)
    features = table.frame.drop(columns=apart)
    return features.set_index(index[: len(features)]).reindex(index)


def _unusual(codes: IntArray, seconds: Any, scenarios: Names, interests: Names) -> list[str]:
    """What is rare in a log and often a sign of a wrong column."""
    events = codes.shape[1]
    repeated = int(pd.DataFrame(dict(enumerate([*codes, seconds]))).duplicated().sum())
    notes = _counted(
        repeated, "events repeat an earlier one (user, item, scenario, behaviour and time); they are kept."
    )
    for kind, names in (("scenarios", scenarios), ("interests", interests)):
        if len(names) > max(10, events / 10):
            notes.append(
                f"There are {len(names):,} {kind} for {events:,} events: is that the right column? A model "
                f"learns little of what it meets once."
            )
    return notes


def _ties(user: IntArray, exact: Any) -> list[str]:
    same = (user[1:] == user[:-1]) & (exact[1:] == exact[:-1])
    tied = int((np.append(same, False) | np.append(False, same)).sum())
    return _counted(
        tied, "events share their time with another of the same user; they keep the order of the table."
    )
