"""Names in the cells of a column: what stands there, as text, and which row has which."""

from __future__ import annotations

import unicodedata
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from imtlib.types import IntArray


class UnfitCellError(Exception):
    """A cell that cannot be read.

    Attributes:
        row: from 0.
        problem: what is wrong and how to fix it.
    """

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(row, problem)
        self.row, self.problem = row, problem


def categories(values: pd.Series[Any]) -> tuple[IntArray, tuple[str, ...]]:
    """Read the names in a column, as text, and which of them stands in each row.

    Args:
        values: text, numbers, truth values or categories; a whole number loses its `.0`: 1.0 is "1".

    Returns:
        Place of each row's name, int32 `(rows,)`, −1 where the cell is missing or blank; and the distinct
        names in order of first appearance.

    Raises:
        UnfitCellError: a cell is a list or its like, spans lines, or is of another type than the others.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    _refuse_containers(values)
    codes, distinct = pd.factorize(values)
    try:
        names = _as_text(list(distinct))
    except UnfitCellError as unfit:
        raise UnfitCellError(int((codes == unfit.row).argmax()), unfit.problem) from None
    blank = np.array([not name.strip() for name in names], np.bool_)
    place = np.where(blank, -1, np.cumsum(~blank) - 1)
    # A missing value has code −1 and so takes the place at the end.
    return np.append(place, -1)[codes].astype(np.int32), tuple(name for name in names if name.strip())


def _refuse_containers(values: pd.Series[Any]) -> None:
    if values.dtype != object:
        return
    for row, cell in enumerate(values):
        if isinstance(cell, (list, tuple, set, dict, np.ndarray)):
            fix = "give one row for each of its parts, table.explode(column)"
            if isinstance(cell, dict):
                fix = "make columns of its parts, pandas.json_normalize(table.to_dict('records'))"
            raise UnfitCellError(
                row, f"a {type(cell).__name__}, {cell!r:.80}, stands where a name should: {fix}."
            )


def _as_text(values: list[Any]) -> tuple[str, ...]:
    """Distinct values as text; of an error the row is the place among them."""
    kinds = [
        "number" if isinstance(v, Real) and not isinstance(v, bool) else type(v).__name__ for v in values
    ]
    for place, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        if kind != kinds[0]:
            problem = (
                f"{value!r} is of type {kind}, but others, such as {values[0]!r}, are of type {kinds[0]}, so "
                f"one id could stand in two forms. Convert the column to text: table[column].astype(str)."
            )
            raise UnfitCellError(place, problem)
        if isinstance(value, float) and abs(value) >= 2**53:
            problem = f"the id {value!r} is too large to be exact in this column. Read it as text or int64."
            raise UnfitCellError(place, problem)
    if kinds and kinds[0] == "number":
        return tuple(str(int(value)) if value == int(value) else str(value) for value in values)
    names = tuple(str(value) for value in values)
    for place, name in enumerate(names):
        if "\n" in name.strip():
            problem = (
                f"the name {name!r:.80} spans lines; most likely a quotation mark before it is never closed. "
                f"Double or remove the mark, or, where marks mean nothing, save the file as .tsv."
            )
            raise UnfitCellError(place, problem)
    if all(name.endswith(".0") and name[:-2].isdecimal() for name in names):
        return tuple(name[:-2] for name in names)  # how pandas writes whole numbers once one was missing
    return names


NOBODY = ("None", "none", "NA", "N/A", "n/a", "unknown", "anonymous", "guest", "-1")
"""Names that more often say that a name is missing."""


def near_twins(names: tuple[str, ...]) -> list[str]:
    """List names that differ from an earlier one in case, spaces, unseen characters or Unicode form alone."""
    first: dict[str, str] = {}
    twins = []
    for name in names:
        plain = name
        if not name.isascii():
            plain = unicodedata.normalize("NFKC", name)
            plain = "".join(letter for letter in plain if unicodedata.category(letter) != "Cf")
        if first.setdefault(plain.strip().casefold(), name) != name:
            twins.append(name)
    return twins
