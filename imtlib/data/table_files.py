"""Tables in files: every kind that pandas reads, as it is written; and where in a text a row stands."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from imtlib.errors import LogError

# "NA" and "None" are left out: they are names too (Namibia, say).
MISSING = ["", "NaN", "nan", "NULL", "null", "<NA>", "\\N"]
SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON = (".json", ".jsonl", ".ndjson")
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
KINDS = ".csv, .tsv, .jsonl, .json (each may end in .gz, .bz2, .xz or .zip), .parquet or .xlsx"


@dataclass(frozen=True)
class FileFormat:
    """How text files are written, where it is not as their names say.

    Attributes:
        sep: what stands between two fields; by default a comma in a `.csv` and a tab in a `.tsv`.
        encoding: such as `"latin-1"` or `"gb18030"`.
        header: names of the columns of a file whose first line is data already.
    """

    sep: str | None = None
    encoding: str = "utf-8-sig"
    header: Sequence[str] | None = None


def read_file(path: Path, form: FileFormat, text: Sequence[str] | None) -> pd.DataFrame:
    """Read a table from a file.

    In a `.tsv` a quotation mark is a character like any other; in a `.csv` it holds a field together.

    Args:
        path: of the file, whose name says its kind.
        form: how a text file is written.
        text: columns to take as they are written; None takes all so. Other types are inferred.

    Raises:
        LogError: the kind is not known; the file is empty, cannot be read, or has a line with fewer or more
            fields than there are columns.
        FileNotFoundError: there is no such file.
    """
    kind = _kind(path)
    try:
        if kind == ".parquet":
            return pd.read_parquet(path)
        if kind == ".xlsx":
            return _read_excel(path, text)
        if kind in JSON:
            return _read_json(path, form)
        return _read_text(path, form, text)
    except pd.errors.EmptyDataError:
        raise LogError(f"{path.name} is empty: not even a line of column names. Write them first.") from None
    except UnicodeDecodeError as error:
        raise LogError(
            f"{path.name} is not {form.encoding.removesuffix('-sig').upper()} text ({error.reason}). Say "
            f"which encoding it has, such as encoding='latin-1' or 'gb18030', or save it as UTF-8."
        ) from None
    except ImportError:
        raise LogError(f"{path.name}: to read .xlsx, pip install openpyxl; or save it as .csv.") from None
    except (LogError, FileNotFoundError):
        raise
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise LogError(
            f"{path.name} cannot be read; it may be cut short. Fetch or write it again. ({error})"
        ) from None


def line_of(path: Path, form: FileFormat, row: int) -> str:
    """Say where a data row ends in its text file, as `" (line 7)"`; nothing for files that are no text.

    Blank lines are no rows, and a quoted field may hold lines.
    """
    kind = _kind(path)
    if kind in JSON:
        return f" (line {row + 1})" if _has_lines(path, form) else ""
    if kind in (".parquet", ".xlsx"):
        return ""
    wanted = row + (form.header is None)
    for count, (line, _) in enumerate(_records(path, form)):
        if count == wanted:
            return f" (line {line})"
    return ""


def _kind(path: Path) -> str:
    kind = Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix
    return kind.lower()


def _open_member(path: Path, _: str, **how: Any) -> IO[str]:
    """Open the only file in an archive."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise LogError(f"{path.name} holds {len(names)} files, {names[:5]}. Unpack it, and name one.")
        return io.TextIOWrapper(io.BytesIO(archive.read(names[0])), **how)


def _open(path: Path, form: FileFormat) -> IO[str]:
    """Open a text file, which may be compressed."""
    openers: dict[str, Callable[..., Any]] = {
        ".gz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
        ".zip": _open_member,
    }
    opened: IO[str] = openers.get(path.suffix, open)(path, "rt", encoding=form.encoding, newline="")
    return opened


def _read_excel(path: Path, text: Sequence[str] | None) -> pd.DataFrame:
    with pd.ExcelFile(path) as book:
        if len(book.sheet_names) > 1:
            raise LogError(
                f"{path.name} has the sheets {book.sheet_names}, and one is read. Give "
                f"pandas.read_excel({path.name!r}, sheet_name=…), of several with pandas.concat."
            )
    return pd.read_excel(path, dtype=_types(text), keep_default_na=False, na_values=MISSING)


def _types(text: Sequence[str] | None) -> Any:
    return str if text is None else dict.fromkeys(text, str)


def _separator(path: Path, form: FileFormat) -> str:
    separator = form.sep or SEPARATORS.get(_kind(path))
    if separator is None:
        raise LogError(
            f"{path.name}: this kind of file is not read. Give {KINDS}; say sep=… for a text with another "
            f"ending; or read it with pandas and give the DataFrame."
        )
    return separator


def _quoting(path: Path, form: FileFormat) -> Any:
    return csv.QUOTE_NONE if _separator(path, form) == "\t" else csv.QUOTE_MINIMAL


def _read_text(path: Path, form: FileFormat, text: Sequence[str] | None) -> pd.DataFrame:
    separator = _separator(path, form)
    _refuse_header(path, form)
    try:
        with warnings.catch_warnings(), _open(path, form) as file:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            how: dict[str, Any] = {"engine": "c", "sep": separator, "low_memory": False}
            if len(separator) > 1:
                how = {"engine": "python", "sep": re.escape(separator)}
            found: Any = pd.read_csv(
                file,
                header=0 if form.header is None else None,
                names=None if form.header is None else list(form.header),
                dtype=_types(text),
                keep_default_na=False,
                na_values=MISSING,
                quoting=_quoting(path, form),
                index_col=False,
                **how,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        problem = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        if "inside string" in problem:
            raise LogError(
                f"{path.name}: a quotation mark is opened and never closed ({problem}). Double or remove it, "
                f"or, where marks mean nothing, save the file as .tsv."
            ) from None
        raise LogError(
            f"{path.name}: a line has more fields than there are columns: {problem}. Is the first line a "
            f"comment, or the wrong separator used? Take the comment out, or say sep=…."
        ) from None
    frame: pd.DataFrame = found
    if len(frame.columns) and frame.iloc[:, -1].isna().any():
        _refuse_short_lines(path, form)
    return frame


def _refuse_header(path: Path, form: FileFormat) -> None:
    """pandas gives the second of two columns of one name another; here neither can be meant."""
    names = list(form.header or next(_records(path, form), (0, []))[1])
    twice = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
    if twice:
        raise LogError(f"{path.name} has two columns named {twice[0]!r}. Rename or drop one of them.")


def _refuse_short_lines(path: Path, form: FileFormat) -> None:
    """pandas takes what a line lacks as missing; it is rather a field that was broken in two."""
    records = _records(path, form)
    wide = len(next(records)[1] if form.header is None else form.header)
    for line, fields in records:
        if len(fields) < wide:
            raise LogError(
                f"{path.name}, line {line}: it has {len(fields)} of {wide} fields. If a field holds a line "
                f"break, take the break out; if fields at the end are missing, write their separators."
            )


def _records(path: Path, form: FileFormat) -> Iterator[tuple[int, list[str]]]:
    """The lines of a text file that are not blank: where each ends, from 1, and its fields."""
    separator = _separator(path, form)
    with _open(path, form) as file:
        if len(separator) > 1:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n").split(separator)
            return
        reader = csv.reader(file, delimiter=separator, quoting=_quoting(path, form))
        for fields in reader:
            if fields:
                yield reader.line_num, fields


def _has_lines(path: Path, form: FileFormat) -> bool:
    """Whether a JSON file has one object a line, rather than a list of objects."""
    with _open(path, form) as file:
        return next((line.lstrip()[:1] for line in file if line.strip()), "") == "{"


def _read_json(path: Path, form: FileFormat) -> pd.DataFrame:
    lines = _has_lines(path, form)
    with _open(path, form) as file:
        try:
            # What looks like a number or a date stays as it is written: "007" is a name.
            return pd.read_json(file, lines=lines, dtype=False)
        except ValueError as error:
            place = f", line {_bad_line(path, form)}" if lines else ""
            raise LogError(f"{path.name}{place}: this is no JSON object ({error}). Mend the file.") from None


def _bad_line(path: Path, form: FileFormat) -> int:
    with _open(path, form) as file:
        for number, line in enumerate(file, start=1):
            try:
                json.loads(line)
            except ValueError:
                return number
    return 0
