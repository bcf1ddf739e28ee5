"""Moments, in all the forms that a log may write them, as whole seconds since 1970 (UTC)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from imtlib.data.cells import UnfitCellError
from imtlib.errors import LogError
from imtlib.types import BoolArray, FloatArray, TimeArray

TimeUnit = Literal["D", "h", "min", "s", "ms", "us", "ns"]
PER_UNIT: dict[str, tuple[int, int]] = {
    "D": (86_400, 1),
    "h": (3600, 1),
    "min": (60, 1),
    "s": (1, 1),
    "ms": (1, 1000),
    "us": (1, 10**6),
    "ns": (1, 10**9),
}
"""Seconds in a unit, as a fraction."""
LATEST = 1e11
"""Seconds, in the year 5138: a later time is surely in milliseconds or finer."""
YEAR = 366 * 86_400
ISO = re.compile(r"\d{4}-?\d\d(-?\d\d)?($|[T ])")
ZONE = re.compile(r":\d\d.*(?:Z|[+-]\d\d:?(?:\d\d)?)$")
USUAL = 315_532_800, 4_102_444_800
"""From 1980 to 2100: most logs lie within."""
WRITTEN = {
    "%Y%m%d%H%M%S": (19_000_101_000_000, 21_001_231_235_959, "days and times written as 20220408133000"),
    "%Y%m%d%H%M": (190_001_010_000, 210_012_312_359, "days and times written as 202204081330"),
    "%Y%m%d": (19_000_101, 21_001_231, "days written as 20220408"),
    "%Y": (1900, 2100, "years"),
}
"""Forms of dates that look like numbers: the smallest, the largest, and what a note calls them."""


@dataclass(frozen=True, eq=False)
class Times:
    """The times of a column.

    Attributes:
        seconds: since 1970 (UTC), rounded down, int64 `(rows,)`.
        exact: the same unrounded, to order by, float64 `(rows,)`.
        notes: what is unusual about them, one sentence each.
    """

    seconds: TimeArray
    exact: FloatArray
    notes: tuple[str, ...] = ()


def seconds(moment: float | str | datetime) -> int:
    """Read a moment as whole seconds since 1970 (UTC), rounded down.

    Args:
        moment: seconds since 1970, a datetime, or an ISO 8601 text such as `"2001-05-04"`. Without a time
            zone, UTC is meant.

    Raises:
        LogError: it is none of these.
    """
    try:
        if isinstance(moment, (int, float, np.integer, np.floating)):
            return int(np.floor(moment))
        if isinstance(moment, str) and not ISO.match(moment.strip()):
            raise ValueError(moment)
        stamp = pd.Timestamp(moment)
        return int((stamp.tz_localize("UTC") if stamp.tz is None else stamp).timestamp() // 1)
    except (ValueError, TypeError, OverflowError):
        raise LogError(
            f"not a moment: {moment!r}. Give seconds since 1970, a datetime, or an ISO text such as "
            f"'2001-05-04 13:30'."
        ) from None


def as_date(moment: float) -> str:
    """Write seconds since 1970 as a date and a time of day (UTC), such as `"2001-05-04 13:30:00"`."""
    return str(np.datetime64(int(moment), "s")).replace("T", " ")


def read_times(values: pd.Series[Any], unit: TimeUnit | None = None, form: str | None = None) -> Times:
    """Read a column of times.

    Args:
        values: datetimes, ISO 8601 text, or numbers; without a time zone, UTC is meant.
        unit: of numbers; by default seconds, unless all of them look like days or years.
        form: of text, as `datetime.strptime` has it, such as `"%d/%m/%Y %H:%M"`; by default ISO 8601.

    Returns:
        The times.

    Raises:
        UnfitCellError: a time is missing, cannot be read, is of another kind than most others, or is surely
            not in seconds.
    """
    if unit is not None and unit not in get_args(TimeUnit):
        raise LogError(f"time_unit={unit!r} is none of {', '.join(get_args(TimeUnit))}.")
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    elif values.dtype.kind == "m":
        raise UnfitCellError(
            0, f"{values.iloc[0]} is an amount of time, no moment: add the day it counts from."
        )
    missing = (values.isna() | (values.astype("str").str.strip() == "")).to_numpy(np.bool_)
    if missing.any():
        how_many = f"; it is in {int(missing.sum()):,} of {len(values):,} rows" if missing.sum() > 1 else ""
        raise UnfitCellError(
            int(missing.argmax()),
            f"the time is missing{how_many}. Fill it in, take the row out, or give time=None for a log that "
            f"has an order and no clock.",
        )
    if form is not None:
        moments = pd.to_datetime(values.astype("str"), format=form, utc=True, errors="coerce")
        _refuse(values, moments.isna().to_numpy(), f"It is not written as {form!r}; say another time_format.")
        return _moments(values, moments)
    if isinstance(values.dtype, (np.dtype, pd.DatetimeTZDtype)) and values.dtype.kind == "M":
        return _moments(values, values)
    number = pd.to_numeric(values, errors="coerce")
    is_number = np.isfinite(number.to_numpy(np.float64, na_value=np.nan))
    if unit is not None or pd.api.types.is_numeric_dtype(values) or 2 * is_number.sum() >= len(values):
        _refuse(values, ~is_number)
        return _numbers(number, unit)
    _refuse(values, is_number)
    text = values.astype("str")
    read = _moments(values, pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce"))
    zoned = int(text.str.contains(ZONE).sum())
    if 0 < zoned < len(text):
        note = f"{zoned:,} of {len(text):,} times name a time zone; the others were taken for UTC."
        read = Times(read.seconds, read.exact, (*read.notes, note))
    return read


def order_as_time(rows: int) -> Times:
    """Make times for a log that has an order and no clock: row r is at r seconds."""
    place = np.arange(rows, dtype=np.int64)
    note = (
        "There is no time: the order of the rows stands for it, one second from each to the next. How long "
        "somebody was away is not known, and a moment is the number of a row."
    )
    return Times(place, place.astype(np.float64), (note,))


FORMS = (
    "Datetimes, ISO text such as '2001-05-04 13:30' and numbers of seconds since 1970 are read; say "
    "time_format='%d/%m/%Y %H:%M' for another form of text, or time_unit='ms' for other numbers."
)


def _refuse(values: pd.Series[Any], unread: BoolArray, fix: str = FORMS) -> None:
    if unread.any():
        row, good = int(unread.argmax()), int((~unread).argmax())
        bad, other = (str(value) for value in (values.iloc[row], values.iloc[good]))
        where = "" if unread.all() else f", where others are such as {other!r}"
        raise UnfitCellError(row, f"{bad!r} cannot be read as a time{where}. {fix}")


def _moments(values: pd.Series[Any], moments: pd.Series[Any]) -> Times:
    _refuse(values, moments.isna().to_numpy())
    utc = moments if moments.dt.tz is None else moments.dt.tz_convert("UTC").dt.tz_localize(None)
    exact = utc.to_numpy()
    whole = exact.astype("datetime64[s]")
    fraction = (exact - whole) / np.timedelta64(1, "s")
    return _noted(whole.astype(np.int64), whole.astype(np.int64) + fraction)


def _numbers(number: pd.Series[Any], unit: TimeUnit | None) -> Times:
    """Numbers as seconds; integers are divided as such, since nanoseconds do not fit a float."""
    is_whole = pd.api.types.is_integer_dtype(number.dtype)
    values = number.to_numpy(np.int64 if is_whole else np.float64)
    if unit is None:
        written = _written_dates(number, values)
        if written is not None:
            return written
    times, over = PER_UNIT[unit or "s"]
    exact = values.astype(np.float64) * times / over
    late = np.abs(exact) > LATEST
    if late.any():
        row = int(late.argmax())
        problem = (
            f"{values[row]:.0f} {unit or 'seconds'} is not a time near ours; it looks like milliseconds or "
            f"finer, or a date written as a number. Say time_unit='ms', 'us' or 'ns', or "
            f"time_format='%Y%m%d%H%M%S'."
        )
        raise UnfitCellError(row, problem)
    whole = values * times // over if is_whole else np.floor(exact).astype(np.int64)
    return _noted(whole.astype(np.int64), exact)


def _written_dates(number: pd.Series[Any], values: FloatArray | TimeArray) -> Times | None:
    """Read numbers that are dates, if most of them are; then all must be."""
    whole = values.astype(np.int64)
    if (values != whole).any():
        return None
    for form, (first, last, name) in WRITTEN.items():
        within = (whole >= first) & (whole <= last)
        # Years are short numbers, which an order has too: all must be such.
        if within.all() or (form != "%Y" and 2 * within.sum() > len(whole)):
            text = pd.Series(np.where(within, whole, first)).astype("str")
            moments = pd.to_datetime(text, format=form, utc=True, errors="coerce")
            unread = moments.isna().to_numpy() | ~within
            if 2 * unread.sum() >= len(whole):
                continue
            _refuse(number, unread, f"Most are {name}. Mend it; or, if all are seconds, say time_unit='s'.")
            note = f"Times were read as {name}. If they are numbers of seconds, say time_unit='s'."
            read = _moments(number, moments)
            return Times(read.seconds, read.exact, (*read.notes, note))
    return None


def _noted(whole: TimeArray, exact: FloatArray) -> Times:
    notes = []
    if (exact != whole).any():
        notes.append("Times were rounded down to whole seconds, after the events had been put in order.")
    if whole.min() >= 0 and whole.max() < YEAR:
        notes.append(
            f"All times lie in 1970, from {as_date(whole.min())} to {as_date(whole.max())}: if they are not "
            f"seconds since then, say which unit they have, time_unit='D', or time=None if they are an order "
            f"(Excel counts days from 1900: pandas.to_datetime(…, unit='D', origin='1899-12-30'))."
        )
    elif far := int(((whole < USUAL[0]) | (whole > USUAL[1])).sum()):
        notes.append(
            f"{far:,} times lie before 1980 or after 2100, between {as_date(whole.min())} and "
            f"{as_date(whole.max())}: are they stand-ins for what is not known?"
        )
    return Times(whole, exact, tuple(notes))
