"""The shop's export: it has every wart that the page about it names, and habits that can be learnt."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from imtlib.simulation.shop_export import NEW, write_shop_export


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shop")
    write_shop_export(place, customers=60)
    return place


def orders(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep=";", encoding="latin-1", dtype=str, keep_default_na=False)


def test_every_wart_is_there(shop: Path) -> None:
    text = (shop / "orders.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        text.decode("utf8")
    assert b'12""' in text
    table = orders(shop / "orders.csv")
    assert 0.02 < (table["customer"] == "").mean() < 0.08
    undone = table["order"].str.startswith("C")
    assert 0.01 < undone.mean() < 0.05
    assert (table["quantity"][undone] == "-1").all()
    taken = table["order"][undone].str[1:]
    placed = table.set_index("order").index.get_indexer(taken)
    assert (placed >= 0).all()
    assert (placed < undone.to_numpy().nonzero()[0]).all(), "an order comes back before it was placed"
    assert table["date"].str.fullmatch(r"\d\d\.\d\d\.2025").all()
    days = pd.to_datetime(table["date"][~undone], format="%d.%m.%Y")
    assert days.is_monotonic_increasing
    assert set(table["site"]) == {"web", "app", "store"}
    kept = table[~undone & (table["customer"] != "")]
    again = kept.duplicated(["customer", "sku"]).mean()
    assert 0.1 < again < 0.3, "what is ordered again"


def test_the_week_after_knows_what_the_months_before_do_not(shop: Path) -> None:
    before, after = orders(shop / "orders.csv"), orders(shop / "next-week.csv")
    assert 1 <= len(set(after["sku"]) - set(before["sku"])) <= NEW
    day = pd.to_datetime(pd.concat([before, after])["date"], format="%d.%m.%Y")
    assert day.iloc[: len(before)].max() <= day.iloc[len(before) :].min() + pd.Timedelta(days=1)


def test_customers_have_an_address_each(shop: Path) -> None:
    people = orders(shop / "customers.csv")
    assert len(people) == people["e-mail"].nunique() == 60
    assert set(orders(shop / "orders.csv")["customer"]) <= {*people["customer"], ""}


def test_the_same_seed_writes_the_same_bytes(shop: Path, tmp_path: Path) -> None:
    for seed, same in ((0, True), (1, False)):
        write_shop_export(tmp_path, customers=60, seed=seed)
        for name in ("orders.csv", "next-week.csv", "customers.csv"):
            assert ((tmp_path / name).read_bytes() == (shop / name).read_bytes()) == same or (
                name == "customers.csv"
            )
