"""The simulated logs of the book: the small one, and logs in which sharing ought to help, hurt or do nothing.

`python -m imtlib.datasets.simulated FOLDER` writes the small one anew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from imtlib.data.atomic import whole
from imtlib.data.log import BehaviourLog
from imtlib.simulation.simulator import simulate
from imtlib.simulation.truth import Truth

WHERE = ("shop", "video", "news")
"""The scenarios of these logs."""
SIZE: dict[str, Any] = {"users": 1000, "items": 160, "interests": 8, "scenarios": WHERE, "events": 24}


def small() -> tuple[BehaviourLog, Truth]:
    """Simulate the log in `data/simulated-small`.

    Returns:
        The log and its truth: 1,200 users, 160 items, 8 interests, 5 scenarios.
    """
    return simulate()


def late(last: int = 4) -> BehaviourLog:
    """Simulate a log of three scenarios, the third of which began to keep its log late.

    Of what a user did in the news, only what is among the last events of that user is known; two of these are
    the validation and the test of `leave_one_out`. So there is little to learn the news from, and a shared
    model can lend it what the others teach: half of the variance of the transition matrices is common.

    Args:
        last: how many events of a user, from the end, are late enough to be known everywhere.
    """
    log, _ = simulate(**SIZE)
    until_end = log.starts[1:][log.user] - np.arange(len(log))
    return log.filter((log.scenario != WHERE.index("news")) | (until_end <= last))


def unlike() -> BehaviourLog:
    """Simulate a log whose three scenarios have nothing in common but items and their popularity.

    Each has a transition matrix of its own, drawn apart from the others; no interest survives a change of
    scenario; there are no triggers and no personas. What one scenario teaches about migration is wrong in
    another.
    """
    off: dict[str, Any] = {"migration": 0.0, "trigger": 0.0, "personas": 1}
    return simulate(**SIZE, **off, specific=1.0, stay=0.9)[0]


def between(migration: float, seed: int = 0) -> tuple[BehaviourLog, Truth]:
    """Simulate a log with nothing at work but the last interest, to learn migration between scenarios from.

    Args:
        migration: how much of an interest survives a change of scenario, from 0, the control, to 1.
        seed: of the users: fresh logs of the same laws.

    Returns:
        The log and its truth: 1,200 users, three scenarios, five interests, about 24 events a user. At every
        second event the scenario is another.
    """
    return simulate(
        1200,
        120,
        5,
        WHERE,
        events=24,
        personas=1,
        trigger=0.0,
        specific=0.6,
        migration=migration,
        stay=0.5,
        seed=seed,
    )


def write_tables(log: BehaviourLog, folder: str | os.PathLike[str]) -> None:
    """Write a log as three plain tables that `read_log` reads back.

    `events.csv` has the columns user, item, scenario, behaviour and time (seconds since 1970), `items.csv`
    item, the item features and interests (with `|` between two), `users.csv` user and the user features.

    Args:
        log: what is written.
        folder: where to; made if it is not there. Tables of these names in it are replaced, each atomically.
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
    for name, table in tables.items():
        with whole(target / name) as fresh:
            table.to_csv(fresh, index=False, lineterminator="\n", encoding="utf8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m imtlib.datasets.simulated FOLDER, such as data/simulated-small")
    write_tables(small()[0], sys.argv[1])
