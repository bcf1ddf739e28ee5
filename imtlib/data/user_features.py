"""What a model may know of users: chosen columns of a table, as categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from imtlib.data.tables import Table
from imtlib.errors import LogError

FEW = 6
"""Values that a feature may always have, in however small a table."""
ALIKE = 3
"""Users, of those whose value is known, that must share one on average."""


def chosen_features(
    table: Table | None, column: str, names: tuple[str, ...], chosen: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Read the chosen features of users.

    Args:
        table: one row a user; there may be none.
        column: of their names.
        names: of the users, those of the table first and in its order.
        chosen: columns to read. Their values will stand in every saved model.

    Returns:
        One row a user, text, missing where nothing is known; and a note on columns that were not chosen.

    Raises:
        LogError: there is no such column; or its values say who a user is rather than which kind, since too
            few users share one.
    """
    index = pd.Index(names, dtype="str", name="user")
    if isinstance(chosen, str):
        raise LogError(f"user_features={chosen!r} is a text: give a list of columns, [{chosen!r}].")
    if table is None:
        if chosen:
            raise LogError(f"user_features={list(chosen)} are columns of the users table: give users=….")
        return pd.DataFrame(index=index), []
    features = {name: _feature(table, name) for name in chosen}
    unused = [str(name) for name in table.frame.columns if name not in (column, *chosen)]
    notes = [
        f"Columns of the users table that nobody asked for were left out: {', '.join(unused)}. Those that a "
        f"model may know are named in user_features."
    ]
    frame = pd.DataFrame(features, index=range(len(table.frame)))
    return frame.set_index(index[: len(frame)]).reindex(index), notes if unused else []


def _feature(table: Table, name: str) -> pd.Series[Any]:
    table.column(name, "Name columns of the users table in user_features.")
    codes, known = table.categories(name)
    filled = int((codes >= 0).sum())
    if len(known) > max(FEW, filled / ALIKE):
        raise LogError(
            f"{table.name}, column {name!r}: {filled:,} users have {len(known):,} values, so it says who "
            f"somebody is rather than which kind, and every saved model would hold it. Leave it out of "
            f"user_features, or give ranges or groups instead."
        )
    return pd.Series(np.array([*known, None], object)[codes], dtype="str")


def sorted_categories(feature: pd.Series[Any]) -> tuple[str, ...]:
    """Sort the distinct categories of a feature; numbers by size, before text."""

    def key(text: str) -> tuple[bool, int, str]:
        number = text.isdecimal()
        return not number, int(text) if number else 0, text

    return tuple(sorted(set(feature.dropna()), key=key))
