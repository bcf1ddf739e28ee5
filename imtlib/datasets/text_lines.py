"""Text files read line by line, with errors that say which file, line and column, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from imtlib.errors import LogError


def line_error(path: Path, line: int, column: str, problem: str) -> LogError:
    """Make an error that names a file, a line (from 1), what in it is wrong, and the problem."""
    return LogError(f"{path.name}, line {line}, {column}: {problem}")


def refuse(path: Path, wrong: pd.DataFrame, problem: str) -> None:
    """Refuse a file if something in it is wrong, by an error that names the first place.

    Args:
        path: of the file.
        wrong: one row for each, with the columns `line` (from 1) and `place`.
        problem: what is wrong and what to do; the values of the row replace its `{column}` fields.

    Raises:
        LogError: there is such a row.
    """
    for row in wrong.head(1).to_dict("records"):
        raise line_error(path, row["line"], row["place"], problem.format_map(row))


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        LogError: it is not UTF-8, or holds nothing but blanks.
        FileNotFoundError: there is no such file.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LogError(f"{path.name} is not UTF-8 text ({error.reason}). Save it as UTF-8.") from None
    if not text.strip():
        raise LogError(f"{path.name} is empty. Check that it was written to the end.")
    return text


def text_lines(path: Path) -> pd.Series[Any]:
    """Split the lines of a text file into words.

    Args:
        path: of the file, in UTF-8; words are separated by blanks.

    Returns:
        The words of each line that is not blank, a list of text; the index is the line's number, from 1.

    Raises:
        LogError: it is not UTF-8, or holds nothing but blanks.
        FileNotFoundError: there is no such file.
    """
    # Not splitlines(): it would also end a line inside a word at some rare signs.
    words: pd.Series[Any] = pd.Series([line.split() for line in read_text(path).split("\n")])
    words.index += 1
    return words[words.str.len() > 0]
