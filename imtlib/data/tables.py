"""Tables from files and DataFrames, with errors that say which file, row and column, and what to do."""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imtlib.errors import LogError
from imtlib.types import BoolArray, FloatArray, IntArray, TimeArray

TableSource = pd.DataFrame | str | Path

# "NA" and "None" are left out: they are names too (Namibia, say).
MISSING = ["", "NaN", "nan", "NULL", "null", "<NA>", "\\N"]
SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
LATEST = 1e11
"""Seconds, in the year 5138: a later time is surely in milliseconds or finer."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table, and what is needed to say where in it something is wrong.

    Attributes:
        frame: the rows.
        name: how messages call it: the file's name, or what the DataFrame is.
        path: the file; None for a DataFrame.
    """

    frame: pd.DataFrame
    name: str
    path: Path | None = None

    def error(self, row: int, column: str, problem: str) -> LogError:
        """Make an error that names this table, a row, a column and the problem.

        Args:
            row: from 0; the message counts from 1, and names the line of a text file.
            column: name of the column.
            problem: what is wrong and how to fix it.
        """
        line = "" if self.path is None else _line(self.path, row)
        return LogError(f"{self.name}, row {row + 1}{line}, column {column!r}: {problem}")

    def column(self, name: str, fix: str) -> pd.Series[Any]:
        """Get a column.

        Args:
            name: of the column.
            fix: what the reader can do if there is none.

        Raises:
            LogError: there is no such column.
        """
        if name not in self.frame.columns:
            found = [str(column) for column in self.frame.columns]
            raise LogError(f"{self.name} has no column {name!r}; it has {found}. {fix}")
        return self.frame[name]

    def names(self, column: str, fix: str) -> tuple[IntArray, tuple[str, ...]]:
        """Read the names in a column, as text, and which of them stands in each row.

        Args:
            column: of ids: text, whole numbers or categories.
            fix: what the reader can do if there is no such column.

        Returns:
            Place of each row's name, int32 `(rows,)`, and the distinct names in order of first appearance.
            A whole number loses its `.0`: 1.0 is "1".

        Raises:
            LogError: no such column; a missing or blank id; ids of mixed types.
        """
        self.column(column, fix)
        codes, names = self.categories(column)
        if (codes < 0).any():
            problem = "the id is missing or blank. Fill it in, or take the row out."
            raise self.error(int((codes < 0).argmax()), column, problem)
        return codes, names

    def categories(self, column: str) -> tuple[IntArray, tuple[str, ...]]:
        """Read names as `names` does, but a missing or blank value is no error: its place is −1."""
        values = self.frame[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(values.cat.categories.dtype)
        codes, distinct = pd.factorize(values)
        try:
            names = _as_text(list(distinct))
        except _UnfitError as unfit:
            raise self.error(int((codes == unfit.place).argmax()), column, unfit.problem) from None
        blank = np.array([not name.strip() for name in names], np.bool_)
        place = np.where(blank, -1, np.cumsum(~blank) - 1)
        # A missing value has code −1 and so takes the place at the end.
        return np.append(place, -1)[codes].astype(np.int32), tuple(name for name in names if name.strip())

    def times(self, column: str) -> tuple[TimeArray, NDArray[Any]]:
        """Read times as seconds since 1970 (UTC).

        Args:
            column: numbers (seconds), datetimes, or ISO 8601 text; without a time zone, UTC is meant.

        Returns:
            Whole seconds, rounded down, int64 `(rows,)`; and the unrounded times, to order by, `(rows,)`.

        Raises:
            LogError: no such column; a time that is missing, cannot be read, or is surely not in seconds.
        """
        values = self.column(column, "Say which column holds the time: time='…'.")
        if isinstance(values.dtype, (np.dtype, pd.DatetimeTZDtype)) and values.dtype.kind == "M":
            return self._moments(column, values)
        number = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        if pd.api.types.is_numeric_dtype(values) or 2 * np.isfinite(number).sum() > len(values):
            return self._numbers(column, number)
        text = values.astype("str")
        return self._moments(column, pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce"))

    def _moments(self, column: str, moments: pd.Series[Any]) -> tuple[TimeArray, NDArray[Any]]:
        self._refuse_times(column, moments.isna().to_numpy())
        utc = moments if moments.dt.tz is None else moments.dt.tz_convert("UTC").dt.tz_localize(None)
        exact = utc.to_numpy()
        return exact.astype("datetime64[s]").astype(np.int64), exact

    def _numbers(self, column: str, number: FloatArray) -> tuple[TimeArray, NDArray[Any]]:
        self._refuse_times(column, ~np.isfinite(number))
        late = np.abs(number) > LATEST
        if late.any():
            row = int(late.argmax())
            problem = (
                f"{number[row]:.0f} seconds is not a time near ours; it looks like milliseconds or finer. "
                f"Divide the column by 1,000 (milliseconds), 1,000,000 or 1,000,000,000."
            )
            raise self.error(row, column, problem)
        return np.floor(number).astype(np.int64), number

    def _refuse_times(self, column: str, unread: BoolArray) -> None:
        if unread.any():
            row = int(unread.argmax())
            value = self.frame[column].iloc[row]
            found = "the time is missing" if pd.isna(value) else f"{value!r} cannot be read as a time"
            fix = (
                "Seconds since 1970, datetimes, or ISO text such as '2001-05-04 13:30' are read; for another "
                "form, convert the column with pandas.to_datetime first."
            )
            raise self.error(row, column, f"{found}. {fix}")


class _UnfitError(Exception):
    """A value that cannot be a name: its place among the distinct ones, and why."""

    def __init__(self, place: int, problem: str) -> None:
        self.place, self.problem = place, problem


def _as_text(values: list[Any]) -> tuple[str, ...]:
    kinds = [
        "number" if isinstance(v, Real) and not isinstance(v, bool) else type(v).__name__ for v in values
    ]
    for place, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        if kind != kinds[0]:
            problem = (
                f"{value!r} is of type {kind}, but others, such as {values[0]!r}, are of type {kinds[0]}, so "
                f"one id could stand in two forms. Convert the column to text: table[column].astype(str)."
            )
            raise _UnfitError(place, problem)
        if isinstance(value, float) and abs(value) >= 2**53:
            problem = f"the id {value!r} is too large to be exact in this column. Read it as text or int64."
            raise _UnfitError(place, problem)
    if kinds and kinds[0] == "number":
        return tuple(str(int(value)) if value == int(value) else str(value) for value in values)
    names = tuple(str(value) for value in values)
    if all(name.endswith(".0") and name[:-2].isdecimal() for name in names):
        return tuple(name[:-2] for name in names)  # how pandas writes whole numbers once one was missing
    return names


def load_table(source: TableSource, what: str, text: Sequence[str] | None = None) -> Table:
    """Load a table from a DataFrame or a file.

    Args:
        source: a DataFrame, or the path of a `.csv`, `.tsv` (also with `.gz`) or `.parquet` file in UTF-8.
        what: what messages call a DataFrame, such as `"the events"`.
        text: columns of a text file to take as they are written; None takes all so. Other types are inferred.

    Raises:
        LogError: the file's kind is not known, or the file is empty or cannot be read.
        FileNotFoundError: there is no such file.
    """
    if isinstance(source, pd.DataFrame):
        table = Table(source.reset_index(drop=True), f"{what} (a DataFrame)")
    else:
        path = Path(source)
        table = Table(_read(path, text), path.name, path)
    twice = table.frame.columns[table.frame.columns.duplicated()]
    if len(twice):
        raise LogError(f"{table.name} has two columns named {str(twice[0])!r}. Rename or drop one of them.")
    if len(table.frame) == 0:
        raise LogError(f"{table.name} is empty: it holds no row. Check that it was written to the end.")
    return table


def _read(path: Path, text: Sequence[str] | None) -> pd.DataFrame:
    separator = _separator(path)
    if separator is None and path.suffix != ".parquet":
        raise LogError(
            f"{path.name}: this kind of file is not read. Give .csv, .tsv (either may end in .gz) or "
            f".parquet, or read it with pandas and give the DataFrame."
        )
    try:
        if separator is None:
            return pd.read_parquet(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                sep=separator,
                dtype=str if text is None else dict.fromkeys(text, str),
                keep_default_na=False,
                na_values=MISSING,
                index_col=False,
                encoding="utf-8-sig",
                low_memory=False,
            )
    except pd.errors.EmptyDataError:
        raise LogError(f"{path.name} is empty: not even a line of column names. Write them first.") from None
    except UnicodeDecodeError as error:
        raise LogError(f"{path.name} is not UTF-8 text ({error.reason}). Save it as UTF-8.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        problem = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise LogError(f"{path.name}: a line has more fields than there are columns: {problem}.") from None
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise LogError(
            f"{path.name} cannot be read; it may be cut short. Fetch or write it again. ({error})"
        ) from None


def _separator(path: Path) -> str | None:
    kind = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    return SEPARATORS.get(kind)


def _line(path: Path, row: int) -> str:
    """Where a data row ends in its text file: blank lines are no rows, and a quoted field may hold lines."""
    separator = _separator(path)
    if separator is None:
        return ""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator)
        records = (reader.line_num for fields in reader if fields)
        for count, line in enumerate(records):
            if count == row + 1:
                return f" (line {line})"
    return ""
