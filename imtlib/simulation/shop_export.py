"""A shop's export with the usual warts, as a first log of one's own looks, from a process that is known."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pandas as pd

from imtlib.data.times import seconds
from imtlib.simulation.simulator import simulate

SITES = ("web", "app", "store")
WORDS = {
    "cooking": "cast-iron pan",
    "fashion": "scarf",
    "gardening": "flower pot",
    "health": "yoga mat",
    "investing": "desk lamp",
    "music": 'record, 12"',
    "sport": "ball",
    "travel": "travel bag",
}
"""What an item of an interest is called; one name holds the sign of an inch."""
COLOURS = ("red", "blue", "green", "crème", "black")
DAY = 86_400
NEW = 8
"""Items that are on sale in the second export alone."""


def write_shop_export(folder: str | os.PathLike[str], customers: int = 1000, seed: int = 0) -> None:
    """Write a shop's orders of half a year, the week after, and its customers, as a shop would export them.

    `orders.csv` and `next-week.csv` have one line an item that was ordered: order;customer;sku;description;
    category;site;quantity;date. Fields are parted by semicolons and written in Latin-1; the date is a day
    alone, `24.12.2025`; of guests the customer is blank; an order whose number begins with C takes back the
    one whose number follows; a customer buys some things again and again; a description may hold a quotation
    mark. `customers.csv` has customer;e-mail;age group. The second file of orders knows items that the
    first does not.

    What people want next follows the laws of `simulate`, and so can be learnt.

    Args:
        folder: where to; made if it is not there.
        customers: how many there are.
        seed: of who they are and what they do.
    """
    rng = np.random.default_rng([seed, 41])
    log, _ = simulate(users=customers, scenarios=SITES, events=26, personas=1, seed=seed)
    table = _with_repeats(log.to_frame(), rng)
    names = log.catalogue
    interests = {item: names.interests_of(code) for code, item in enumerate(names.items)}
    table["category"] = ["/".join(interests[item]) for item in table["item"]]
    table["description"] = [
        f"{WORDS[interests[item][0]]}, {COLOURS[int(item[1:]) % len(COLOURS)]}" for item in table["item"]
    ]
    table = _in_half_a_year(table, rng)
    table["order"] = [str(100_000 + row) for row in range(len(table))]
    table["quantity"] = 1
    later = table["time"] >= table["time"].max() - 7 * DAY
    fresh = [f"i{code:03}" for code in range(len(names.items) - NEW, len(names.items))]
    early = table[~later & ~table["item"].isin(fresh)]
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    _write(_with_warts(early, rng), place / "orders.csv")
    _write(_with_warts(table[later], rng), place / "next-week.csv")
    people = pd.DataFrame({"customer": [f"K{code:04}" for code in range(1, customers + 1)]})
    people["e-mail"] = [f"{name.lower()}@example.org" for name in people["customer"]]
    people["age group"] = rng.choice(["18-29", "30-49", "50+"], customers)
    _write(people, place / "customers.csv")


def _with_repeats(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Some things are ordered once more, three to eight orders of the same customer later."""
    place = table.groupby("user").cumcount().to_numpy().astype(float)
    again = rng.random(len(table)) < 0.25
    later = place[again] + rng.integers(3, 9, again.sum()) + 0.5
    both = pd.concat([table, table[again]]).assign(place=np.concatenate([place, later]))
    return both.sort_values(["user", "place"], kind="stable", ignore_index=True)


def _in_half_a_year(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Each customer's orders are spread over 1 July to 31 December 2025, in their order."""
    begin, end = seconds("2025-07-01"), seconds("2026-01-01")
    moments = pd.DataFrame({"user": table["user"], "time": rng.integers(begin, end, len(table))})
    moments = moments.sort_values(["user", "time"], kind="stable", ignore_index=True)
    return table.assign(time=moments["time"]).sort_values("time", kind="stable", ignore_index=True)


def _with_warts(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    people = table["user"].str.removeprefix("u").astype(int)
    orders = pd.DataFrame(
        {
            "order": table["order"],
            "customer": [f"K{code:04}" for code in people],
            "sku": table["item"].str.upper(),
            "description": table["description"],
            "category": table["category"],
            "site": table["scenario"],
            "quantity": table["quantity"],
            "date": pd.to_datetime(table["time"], unit="s").dt.strftime("%d.%m.%Y"),
        }
    ).reset_index(drop=True)
    back = orders[rng.random(len(orders)) < 0.03]
    taken_back = back.assign(order="C" + back["order"], quantity=-1)
    # It is taken back some thirty orders later.
    place = np.concatenate([orders.index, back.index + 30])
    orders = pd.concat([orders, taken_back], ignore_index=True).iloc[np.argsort(place, kind="stable")]
    guests = (rng.random(len(orders)) < 0.05) & ~orders["order"].str.startswith("C")
    return orders.assign(customer=orders["customer"].where(~guests, ""))


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(
        path, sep=";", index=False, encoding="latin-1", lineterminator="\n", quoting=csv.QUOTE_MINIMAL
    )
