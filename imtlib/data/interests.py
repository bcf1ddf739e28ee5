"""Interests as tables hold them: parts of a text, lists, or lists written as text."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imtlib.data.catalogue import OTHER
from imtlib.data.cells import UnfitCellError
from imtlib.types import BoolArray

SEPARATORS = ("|", ",", ";", "/", " ")


def split_interests(cells: Iterable[Any], separator: str) -> list[list[str]]:
    """Read the interests in each cell of a column.

    Args:
        cells: texts with a separator between two interests; lists; or lists written as text, as Python or
            JSON has them. A missing or empty cell has no interest.
        separator: of texts that are no list.

    Returns:
        The names of each cell's interests.

    Raises:
        UnfitCellError: a cell is a dictionary, or holds lists or dictionaries within a list, or begins like a
            list and cannot be read as one.
    """
    return [_interests(row, cell, separator) for row, cell in enumerate(cells)]


def _interests(row: int, cell: Any, separator: str) -> list[str]:
    if isinstance(cell, str) and cell.strip()[:1] in ("[", "{"):
        cell = _parsed(row, cell.strip())
    if isinstance(cell, dict):
        raise UnfitCellError(
            row, f"{cell!r:.80} is a dictionary. Give the names of interests alone, as a list."
        )
    if isinstance(cell, str):
        parts: Iterable[Any] = cell.split(separator)
    elif isinstance(cell, (list, tuple, set, np.ndarray)):
        parts = cell
    else:
        parts = [] if pd.isna(cell) else [cell]
    names = []
    for part in parts:
        if isinstance(part, (list, tuple, set, dict, np.ndarray)):
            raise UnfitCellError(
                row, f"{cell!r:.80} holds a {type(part).__name__} within a list. Give one flat list of names."
            )
        if part is not None and (name := str(part).strip()):
            names.append(name)
    return names


def _parsed(row: int, text: str) -> Any:
    """Read a list or dictionary that is written as text."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    raise UnfitCellError(
        row,
        f"{text!r:.80} begins like a list and cannot be read as one. Write ['comedy', 'crime'] or "
        f"comedy|crime.",
    )


def looks_separated(cells: Iterable[Any], separator: str) -> str | None:
    """Name the separator that texts have, if they never hold the one they are read with and often another.

    Args:
        cells: as for `split_interests`.
        separator: that they are read with.
    """
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()[:1] not in ("", "[")]
    if not texts or any(separator in text for text in texts):
        return None
    for other in SEPARATORS[:-1]:
        if 2 * sum(other in text for text in texts) > len(texts):
            return other
    return None


def membership(sets: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], BoolArray]:
    """Say which item has which interest.

    Args:
        sets: names of the interests of each of n items; an item with none gets "other".

    Returns:
        The K interests, sorted, with "other" last; bool `(n, K)`.
    """
    filled = [names or [OTHER] for names in sets]
    found = {name for names in filled for name in names}
    kinds = (*sorted(found - {OTHER}), *(found & {OTHER}))
    place = {name: code for code, name in enumerate(kinds)}
    held = np.zeros((len(filled), len(kinds)), np.bool_)
    rows = np.repeat(np.arange(len(filled)), [len(names) for names in filled])
    held[rows, [place[name] for names in filled for name in names]] = True
    return kinds, held
