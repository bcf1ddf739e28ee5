"""The small simulated log of the book; `python -m imtlib.datasets.simulated FOLDER` writes it anew."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from imtlib.data.log import BehaviourLog
from imtlib.simulation.simulator import simulate
from imtlib.simulation.truth import Truth


def small() -> tuple[BehaviourLog, Truth]:
    """The log in `data/simulated-small`, and its truth: 1,200 users, 160 items, 8 interests, 5 scenarios."""
    return simulate()


def write_tables(log: BehaviourLog, folder: str | os.PathLike[str]) -> None:
    """Write a log as three plain tables that `read_log` reads back.

    `events.csv` has the columns user, item, scenario, behaviour and time (seconds since 1970), `items.csv`
    item, the item features and interests (with `|` between two), `users.csv` user and the user features.

    Args:
        log: what is written.
        folder: where to; made if it is not there. Tables of these names in it are replaced, each at one
            stroke.
    """
    names = log.catalogue
    interests = ["|".join(np.array(names.interests)[row]) for row in names.item_interests]
    items = log.item_features.assign(interests=interests).rename_axis("item").reset_index()
    tables: dict[str, pd.DataFrame] = {
        "events.csv": log.to_frame(),
        "items.csv": items,
        "users.csv": log.user_features.rename_axis("user").reset_index(),
    }
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target) as fresh:
        for name, table in tables.items():
            table.to_csv(Path(fresh, name), index=False, lineterminator="\n", encoding="utf8")
        for name in tables:
            os.replace(Path(fresh, name), target / name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m imtlib.datasets.simulated FOLDER, such as data/simulated-small")
    write_tables(small()[0], sys.argv[1])
