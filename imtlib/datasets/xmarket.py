"""Markets: what people rate in several countries, each a scenario; items are shared, people are not.

The files are those of FOREC (Bonab et al., CIKM 2021), made from XMarket. `read_markets` reads any markets
in the same form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.datasets.download import Download, WebFolder
from imtlib.datasets.log_cache import parsed_once
from imtlib.datasets.text_lines import line_error, refuse, text_lines
from imtlib.errors import LogError

HEADER = ["userId", "itemId", "rate", "date"]
RATE = r"[0-9]+(?:\.[0-9]+)?"
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

XMARKET = Download(
    title="XMarket (United Kingdom, Germany, France)",
    folder="xmarket",
    files={
        "uk_5core.txt": "757011193b2878c08d3589c4ec0aecff015f898e56b22c412b95529707adf0d8",
        "de_5core.txt": "d4058d929a880c387efd2f330d8010ec25904f53ef40b3d722487dfd182d2632",
        "fr_5core.txt": "48dc17f037eb13fce65ad72428cedf691d3aade016229699045d2f05806775fb",
    },
    sources=(
        WebFolder(
            "https://raw.githubusercontent.com/hamedrab/FOREC/"
            "c10cef9e1823474e71e6300243cf7cd643e2f7af/DATA/proc_data"
        ),
    ),
    terms=(
        "For academic purposes; cite Bonab et al. (2021), Cross-Market Product Recommendation, CIKM 2021."
    ),
)


def xmarket() -> BehaviourLog:
    """Load XMarket's electronics in three markets: 7,041 users, 4,081 items, 66,471 ratings, 2004 to 2020.

    In the United Kingdom 3,352 users, 3,251 items and 31,547 ratings; in Germany 1,851, 2,179 and 17,300; in
    France 1,838, 1,879 and 17,624. Of the items in Germany, 1,605 are sold in the United Kingdom as well.
    Times are days, and most events share theirs with another of the user: see
    `imtlib.evaluation.protocols.drop_tied_requests`.

    Returns:
        The log, as `read_markets` gives it, with the scenarios `"uk"`, `"de"` and `"fr"`.

    Raises:
        DownloadError: the files are not in the cache and cannot be fetched.
    """
    markets = {name.removesuffix("_5core.txt"): name for name in XMARKET.files}
    return parsed_once(
        XMARKET, lambda folder: read_markets({market: folder / name for market, name in markets.items()})
    )


def read_markets(files: Mapping[str, str | Path]) -> BehaviourLog:
    """Read a log from files in the form of FOREC, one a market.

    The first line is `userId itemId rate date`, and every other line one event, in this order. A date is the
    midnight (UTC) with which it begins. Events of one day keep the order of the file. The rating itself is
    not kept. Nothing is known of an item, so its interest is "other".

    Args:
        files: path of each market's file, by the name of the market.

    Returns:
        The log. Its one behaviour is "rate". A user's name has the market before it, as in `"uk_AE4OP…"`:
        whoever buys in two markets is a user in each, and a note counts them. An item has one name in all
        markets.

    Raises:
        LogError: no file is given, or one is empty or not in this form. The message names the file, the
            line, the column and the fix.
        FileNotFoundError: there is no such file.
    """
    if not files:
        raise LogError('no market is given: give at least one, as {"uk": path}.')
    events = pd.concat({market: _events(Path(path)) for market, path in files.items()}, names=["market"])
    events = events.reset_index("market")
    user = events["market"] + "_" + events["userId"]
    table = pd.DataFrame(
        {"user": user, "item": events["itemId"], "scenario": events["market"], "time": events["time"]}
    )
    log = read_log(table.assign(behaviour="rate"))
    several = (events[["market", "userId"]].drop_duplicates()["userId"].value_counts() > 1).sum()
    if not several:
        return log
    note = (
        f"Users whose name stands in several markets: {several:,}. Each is a user of its own in every market."
    )
    return replace(log, notes=(*log.notes, note))


def _events(path: Path) -> pd.DataFrame:
    """The columns of a file as text, and the line and the time of each event."""
    lines = text_lines(path)
    header, words = lines.iloc[0], lines.iloc[1:]
    if header != HEADER:
        problem = f"found {' '.join(header)!r}. Let the first line name the columns: {' '.join(HEADER)}."
        raise line_error(path, lines.index[0], "header", problem)
    if words.empty:
        raise LogError(
            f"{path.name} holds no event below the line of names. Check that it was written to the end."
        )
    events = pd.DataFrame({"line": words.index, "fields": words.str.len()})
    wrong = events[events["fields"] != len(HEADER)]
    place = [f"column {HEADER[min(found, 3)]!r}" for found in wrong["fields"]]
    problem = f"{{fields}} fields, not {len(HEADER)}. Write one event: {' '.join(HEADER)}."
    refuse(path, wrong.assign(place=place), problem)
    events[HEADER] = words.tolist()
    # Only this form: others are read as well, such as 2016-W24-1, which this kind of file does not have.
    written = events["date"].where(events["date"].str.fullmatch(DAY))
    day = pd.to_datetime(written, format="%Y-%m-%d", errors="coerce")
    number = f"a number such as 4.0. Fix it, or put the columns in order: {' '.join(HEADER)}."
    for column, right, form in (
        # The rating is not used, but one that is no number shows that the columns are in disorder.
        ("rate", events["rate"].str.fullmatch(RATE), number),
        ("date", day.notna(), "a date such as 2016-06-13. Write year, month and day so."),
    ):
        refuse(path, events[~right].assign(place=f"column {column!r}"), f"{{{column}!r}} is not {form}")
    return events.assign(time=day.astype("datetime64[s]").astype("int64"))
