"""Amazon, two domains: reviews by people who buy in both, each domain a scenario.

The files are those of ABXI (Bian et al., WWW 2025), made from the Amazon reviews of 2014. `read_domains`
reads any pair of domains in the same form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.data.times import LATEST
from imtlib.datasets.download import Download, WebFolder
from imtlib.datasets.log_cache import parsed_once
from imtlib.datasets.text_lines import line_error, read_text, refuse, text_lines
from imtlib.errors import LogError

EVENT = r"^([0-9]+)\|(-?[0-9]+)$"

FOOD_KITCHEN = Download(
    title="Amazon Food and Kitchen",
    folder="amazon-food-kitchen",
    files={
        "afk_50_preprocessed.txt": "5f9856f574879920a70c93461add1ebc1c997b1ce6d626ba8d475315f53a4a15",
        "map_item_50.txt": "64a939f71c0c48ba181d6d24e384af1160812bdf244f20c58ef101f5fc54b3c3",
    },
    sources=(
        WebFolder(
            "https://raw.githubusercontent.com/DiMarzioBian/ABXI/"
            "72e52c9f85c740cb5dbdab11f7e5a70eb28ae00d/data/afk"
        ),
    ),
    terms=(
        "The authors of ABXI state no licence for it, so it is not ours to pass on; cite Bian et al. (2025), "
        "ABXI: Invariant Interest Adaptation for Task-Guided Cross-Domain Sequential Recommendation, WWW."
    ),
)


def amazon_food_kitchen() -> BehaviourLog:
    """Load Amazon Food and Kitchen: 7,144 users, 28,095 items, 173,548 reviews, from 2000 to 2014.

    Every user has at least five reviews in either domain and fifty at most in all. Times are days, and
    within a day the items ascend, so the order of such events means nothing: see
    `imtlib.evaluation.protocols.drop_tied_requests`.

    Returns:
        The log, as `read_domains` gives it, with the scenarios `"food"` and `"kitchen"`.

    Raises:
        DownloadError: the files are not in the cache and cannot be fetched.
    """
    events, items = FOOD_KITCHEN.files
    return parsed_once(FOOD_KITCHEN, lambda folder: read_domains(folder / events, folder / items))


def read_domains(
    interactions: str | Path, items: str | Path | int, domains: Sequence[str] = ("food", "kitchen")
) -> BehaviourLog:
    """Read a log from a file in the form of ABXI: one line a user, `user item|time item|time …`.

    Times are whole seconds since 1970 (UTC). Events of one second keep the order of the file. Nothing is
    known of an item but its domain, which is its one interest, as it is the scenario of every event on it.

    Args:
        interactions: path of the file of events.
        items: path of a JSON file `{"name": [item, domain], …}`, where `item` is the whole number in the
            file of events and `domain` a place in `domains`, from 0; or, without such a file, the highest
            item of the first of two domains. Items are then named by number.
        domains: names of the domains.

    Returns:
        The log. Its one behaviour is "review". Items have the order of the JSON file, or without it that of
        their numbers; users that of the file.

    Raises:
        LogError: a file is empty or not in this form, a user has no event or two lines, or an item is not
            in the JSON file. The message names the file, the line or entry, the event and the fix.
        FileNotFoundError: there is no such file.
    """
    path = Path(interactions)
    events = _events(path)
    if isinstance(items, int):
        known, where = _parted(set(events["item"]), items, domains), "the items"
    else:
        known, where = _read_items(Path(items), domains), Path(items).name
    problem = f"item {{item}} is not in {where}. Add its name and domain there."
    refuse(path, events[~events["item"].isin(list(known))], problem)
    names = pd.DataFrame(list(known.values()), list(known), ["item", "interests"])
    named = names.loc[events["item"]].set_axis(events.index)
    table = events.assign(item=named["item"], scenario=named["interests"], behaviour="review")
    names["interests"] = [[domain] for domain in names["interests"]]
    return read_log(table, items=names)


def _events(path: Path) -> pd.DataFrame:
    """User, item (a whole number) and time of each event, with its line and its place in the line."""
    words = text_lines(path)
    user, count = words.str[0], words.str.len() - 1
    for line in user.index[user.duplicated()]:
        first = user.index[user == user[line]][0]
        problem = f"{user[line]!r} has line {first} already. Put all events of a user on one line."
        raise line_error(path, line, "user", problem)
    for line in count.index[count == 0]:
        problem = f"{user[line]!r} has no event, as item|time after the name. Add one or take the line out."
        raise line_error(path, line, "user", problem)
    events = words.str[1:].explode().rename("word").rename_axis("line").reset_index()
    events["user"] = user.repeat(count.tolist()).to_numpy()
    events["place"] = "event " + (events.groupby("line").cumcount() + 1).astype("str")
    events[["item", "time"]] = events["word"].astype("str").str.extract(EVENT)
    problem = "{word!r} is not item|time, two whole numbers such as 821|1381536000. Fix it."
    refuse(path, events[events["item"].isna()], problem)
    problem = (
        "{time} seconds is not a time near ours; it looks like milliseconds or finer. Divide all times by "
        "1,000 (milliseconds), 1,000,000 or 1,000,000,000."
    )
    refuse(path, events[events["time"].astype("float64").abs() > LATEST], problem)
    # Whole numbers of any size: one too large for an array is only an item that is not known.
    return events.assign(item=[int(item) for item in events["item"]], time=events["time"].astype("int64"))


_Items = dict[int, tuple[str, str]]
"""Name and domain of each item, by its number in the file of events."""


def _parted(numbers: set[int], last: int, domains: Sequence[str]) -> _Items:
    if len(domains) != 2:
        raise LogError(f"the item {last} parts two domains, but {len(domains)} are named: give two names.")
    return {number: (str(number), domains[int(number > last)]) for number in sorted(numbers)}


def _read_items(path: Path, domains: Sequence[str]) -> _Items:
    try:
        entries = json.loads(
            read_text(path), object_pairs_hook=list
        )  # a dictionary would hide repeated names
    except json.JSONDecodeError as error:
        problem = f"this is not JSON ({error.msg}). Fetch or write the file again."
        raise line_error(path, error.lineno, f"column {error.colno}", problem) from None
    if not isinstance(entries, list) or not all(isinstance(entry, tuple) for entry in entries):
        raise LogError(f'{path.name} is not a JSON object. Write {{"name": [item, domain], …}}.')
    known: _Items = {}
    names: set[str] = set()
    for name, value in entries:
        number, domain = _checked(path, name, value, domains)
        if name in names or number in known:
            problem = (
                f"the name, or item {number}, stands in an earlier entry already. Keep one for each item."
            )
            raise LogError(f"{path.name}, entry {name!r}: {problem}")
        names.add(name)
        known[number] = (name, domain)
    return known


def _checked(path: Path, name: str, value: Any, domains: Sequence[str]) -> tuple[int, str]:
    """The number of an item and the name of its domain, if its entry is right."""
    if not isinstance(value, list) or [type(part) for part in value] != [int, int]:
        problem = f"{value!r} is not [item, domain], two whole numbers such as [821, 0]. Fix it."
    elif not name.strip():
        problem = "the name of the item is blank. Fill it in."
    elif not 0 <= value[1] < len(domains):
        problem = f"domain {value[1]} has no name in {list(domains)}, counted from 0. Name all domains."
    else:
        return value[0], domains[value[1]]
    raise LogError(f"{path.name}, entry {name!r}: {problem}")
