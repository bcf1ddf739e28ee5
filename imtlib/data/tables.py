"""Tables from files and DataFrames, with errors that say which file, row and column, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from imtlib.data.cells import UnfitCellError, categories
from imtlib.data.table_files import FileFormat, line_of, read_file
from imtlib.data.times import Times, TimeUnit, read_times
from imtlib.errors import LogError
from imtlib.types import IntArray

TableSource = pd.DataFrame | str | Path
DATA = re.compile(r"-?\d+(\.\d+)?|\d{4}-\d\d-\d\d.*")
"""What no name of a column looks like: numbers and dates."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table, and what is needed to say where in it something is wrong.

    Attributes:
        frame: the rows.
        name: how messages call it: the file's name, or what the DataFrame is.
        path: the file; None for a DataFrame.
        form: how the file is written.
    """

    frame: pd.DataFrame
    name: str
    path: Path | None = None
    form: FileFormat = field(default_factory=FileFormat)

    def error(self, row: int, column: str, problem: str) -> LogError:
        """Make an error that names this table, a row, a column and the problem.

        Args:
            row: from 0; the message counts from 1, and names the line of a text file.
            column: name of the column.
            problem: what is wrong and how to fix it.
        """
        line = "" if self.path is None else line_of(self.path, self.form, row)
        return LogError(f"{self.name}, row {row + 1}{line}, column {column!r}: {problem}")

    def column(self, name: str, fix: str) -> pd.Series[Any]:
        """Get a column.

        Args:
            name: of the column.
            fix: what the reader can do if there is none.

        Raises:
            LogError: there is no such column, or the line of names is one of data.
        """
        found = [str(column) for column in self.frame.columns]
        if name not in self.frame.columns:
            raise LogError(f"{self.name} has no column {name!r}; it has {found}. {self._hint(found) or fix}")
        if isinstance(name, str) and DATA.fullmatch(name):
            raise LogError(f"{self.name} has a column named {name!r}. {self._no_header(found)}")
        return self.frame[name]

    def _hint(self, found: list[str]) -> str:
        """What is most likely wrong with the whole file, if a column is not there."""
        if found[0].startswith("\u00ef\u00bb\u00bf"):
            return "The file is UTF-8 and not what encoding=… says: leave it out."
        if found[0].startswith(("#", "%", "//")):
            return "The first line is a comment: take it out."
        if len(found) == 1:
            others = [mark for mark in (";", "\t", "|", ",") if mark in found[0]]
            if others:
                return f"It looks as if {others[0]!r} stood between the fields: say sep={others[0]!r}."
        if any(DATA.fullmatch(name) for name in found):
            return self._no_header(found)
        return ""

    def _no_header(self, found: list[str]) -> str:
        names = "header=['user', 'item', …]" if self.path else "pandas.read_csv(…, header=None, names=[…])"
        return (
            f"Its first line, {found[:6]}, seems to be data rather than names, and would be lost as a row: "
            f"name the columns, {names}."
        )

    def names(self, column: str, fix: str) -> tuple[IntArray, tuple[str, ...]]:
        """Read the names in a column, as text, and which of them stands in each row.

        Args:
            column: of ids: text, whole numbers or categories.
            fix: what the reader can do if there is no such column.

        Returns:
            Place of each row's name, int32 `(rows,)`, and the distinct names in order of first appearance.
            A whole number loses its `.0`: 1.0 is "1".

        Raises:
            LogError: no such column; a missing or blank id; ids of mixed types, lists, or with line breaks.
        """
        self.column(column, fix)
        codes, names = self.categories(column)
        if (codes < 0).any():
            many = int((codes < 0).sum())
            how_many = f", as in {many:,} of {len(codes):,} rows" if many > 1 else ""
            problem = (
                f"the id is missing or blank{how_many}. Fill it in, or take the row out: "
                f"table.dropna(subset=[{column!r}])."
            )
            raise self.error(int((codes < 0).argmax()), column, problem)
        return codes, names

    def categories(self, column: str) -> tuple[IntArray, tuple[str, ...]]:
        """Read names as `names` does, but a missing or blank value is no error: its place is −1."""
        try:
            return categories(self.frame[column])
        except UnfitCellError as unfit:
            raise self.error(unfit.row, column, unfit.problem) from None

    def times(self, column: str, unit: TimeUnit | None = None, form: str | None = None) -> Times:
        """Read a column of times; see `imtlib.data.times.read_times`.

        Raises:
            LogError: no such column; a time that is missing, cannot be read, or is surely not in seconds.
        """
        fix = "Say which column holds the time: time='…'; or time=None for a log that has an order alone."
        values = self.column(column, fix)
        try:
            return read_times(values, unit, form)
        except UnfitCellError as unfit:
            raise self.error(unfit.row, column, unfit.problem) from None


def load_table(
    source: TableSource, what: str, text: Sequence[str] | None = None, form: FileFormat | None = None
) -> Table:
    """Load a table from a DataFrame or a file.

    Args:
        source: a DataFrame, or the path of a file.
        what: what messages call a DataFrame, such as `"the events"`.
        text: columns of a text file to take as they are written; None takes all so. Other types are inferred.
        form: how a text file is written.

    Raises:
        LogError: the source is neither; or the file's kind is not known, or it is empty or cannot be read.
        FileNotFoundError: there is no such file.
    """
    form = form or FileFormat()
    if isinstance(source, pd.DataFrame):
        table = Table(source.reset_index(drop=True), f"{what} (a DataFrame)")
    elif not isinstance(source, (str, Path)):
        raise LogError(
            f"{what} are a {type(source).__name__}: give a DataFrame or the path of a file. For several "
            f"files, pandas.concat their tables; or, one a scenario, give a dictionary by scenario."
        )
    elif "://" in str(source):
        raise LogError(f"{source} is an address: fetch the file first, or give pandas.read_csv(address).")
    else:
        path = Path(source)
        if path.is_dir():
            raise LogError(f"{source} is a folder: name a file, or give a dictionary of files by scenario.")
        if not path.exists():
            several = " A pattern names none: list the files." if "*" in path.name else ""
            raise FileNotFoundError(f"there is no file {source}.{several}")
        table = Table(read_file(path, form, text), path.name, path, form)
    twice = table.frame.columns[table.frame.columns.duplicated()]
    if len(twice):
        raise LogError(f"{table.name} has two columns named {str(twice[0])!r}. Rename or drop one of them.")
    if len(table.frame) == 0:
        raise LogError(f"{table.name} is empty: it holds no row. Check that it was written to the end.")
    return table
