"""Text files read line by line, with errors that say which file, line and column, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imtlib.errors import LogError


def line_error(path: Path, line: int, column: str, problem: str) -> LogError:
    """An error that names a file, a line (counted from 1), what stands wrong in it, and the problem."""
    return LogError(f"{path.name}, line {line}, {column}: {problem}")


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

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


def text_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a text file that are not blank: each one's number, from 1, and its words.

    Args:
        path: of the file; words are separated by blanks.

    Raises:
        LogError: it is not UTF-8, or holds nothing but blanks.
        FileNotFoundError: there is no such file.
    """
    # Not splitlines(): it would also end a line inside a word at some rare signs.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        words = line.split()
        if words:
            yield number, words
