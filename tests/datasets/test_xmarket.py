"""Markets: every form of the files, every way to break them, and the real ones where they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imtlib.data.log import BehaviourLog, seconds
from imtlib.datasets.xmarket import read_markets
from imtlib.errors import LogError

HEAD = "userId itemId rate date\n"
UK = HEAD + "ann pen 5.0 2016-06-13\nbob ink 4.0 2015-01-02\nann ink 1.0 2016-06-13\nann cup 3.0 2014-02-28\n"
DE = HEAD + "ann pen 5.0 1969-12-31\neva cup 2.0 2020-02-29\n"


def write(folder: Path, **markets: str) -> dict[str, Path]:
    paths = {market: folder / f"{market}.txt" for market in markets}
    for market, text in markets.items():
        paths[market].write_text(text)
    return paths


def test_a_market_is_a_scenario_items_are_shared_and_users_are_not(tmp_path: Path) -> None:
    log = read_markets(write(tmp_path, uk=UK, de=DE))
    assert log.users == ("uk_ann", "uk_bob", "de_ann", "de_eva")
    assert log.catalogue.items == ("pen", "ink", "cup")
    assert log.catalogue.scenarios == ("uk", "de")
    assert log.catalogue.behaviours == ("rate",)
    assert log.catalogue.interests == ("other",)
    assert log.events_of("uk_ann")["item"].tolist() == ["cup", "pen", "ink"]
    assert log.events_of("uk_ann")["time"].tolist() == [
        seconds(day) for day in ("2014-02-28", *["2016-06-13"] * 2)
    ]
    assert log.events_of("de_ann")["time"].tolist() == [-86_400]
    assert (
        log.notes[-1]
        == "Users whose name stands in several markets: 1. Each is a user of its own in every market."
    )


def test_no_note_where_nobody_is_in_two_markets(tmp_path: Path) -> None:
    assert not any("several markets" in note for note in read_markets(write(tmp_path, uk=UK)).notes)


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("eva cup 2.0", r"line 4, column 'date': 3 fields, not 4\. Write one event"),
        ("eva cup 2.0 2020-02-29 x", r"line 4, column 'date': 5 fields, not 4"),
        ("eva", r"line 4, column 'itemId': 1 fields, not 4"),
        ("eva cup good 2020-02-29", r"line 4, column 'rate': 'good' is not a number .* Fix it"),
        ("eva 2.0 cup 2020-02-29", r"line 4, column 'rate': 'cup' is not a number"),
        ("eva cup 2.0 2020-02-30", r"line 4, column 'date': '2020-02-30' is not a date such as"),
        ("eva cup 2.0 29.02.2020", r"line 4, column 'date': .* Write year, month and day so"),
        ("eva cup 2.0 20200229", r"line 4, column 'date'"),
    ],
)
def test_a_broken_line_is_named_with_its_fix(tmp_path: Path, line: str, where: str) -> None:
    with pytest.raises(LogError, match=rf"^de\.txt, {where}"):
        read_markets(write(tmp_path, uk=UK, de=f"{DE}{line}\n"))


def test_files_without_a_header_or_an_event(tmp_path: Path) -> None:
    with pytest.raises(
        LogError, match=r"^de\.txt, line 1, header: found 'ann pen 5\.0 2016-06-13'\. Let the"
    ):
        read_markets(write(tmp_path, de=DE.removeprefix(HEAD).replace("1969-12-31", "2016-06-13")))
    with pytest.raises(LogError, match=r"de\.txt holds no event below"):
        read_markets(write(tmp_path, uk=UK, de=HEAD))
    with pytest.raises(LogError, match=r"de\.txt is empty"):
        read_markets(write(tmp_path, uk=UK, de=""))
    with pytest.raises(LogError, match="no market is given"):
        read_markets({})
    with pytest.raises(FileNotFoundError):
        read_markets({"fr": tmp_path / "none.txt"})


FIRST = date(1999, 12, 30)
events = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 4)), min_size=1, max_size=15
)


def written(rows: list[tuple[str, str, int]]) -> list[str]:
    return [f"{user} {item} 5.0 {FIRST + timedelta(days=day)}" for user, item, day in rows]


@settings(max_examples=30, deadline=None)
@given(events)
def test_no_event_is_lost_and_the_order_is_that_of_days_then_of_the_file(tmp_path_factory, rows) -> None:
    log = read_markets(write(tmp_path_factory.mktemp("log"), uk=HEAD + "\n".join(written(rows))))
    assert len(log) == len(rows)
    for user in {user for user, _, _ in rows}:
        ordered = sorted([row for row in rows if row[0] == user], key=lambda row: row[2])
        found = log.events_of(f"uk_{user}")
        assert found["item"].tolist() == [item for _, item, _ in ordered]
        assert found["time"].tolist() == [seconds(FIRST + timedelta(days=day)) for _, _, day in ordered]


@settings(max_examples=30, deadline=None)
@given(events, st.data())
def test_whatever_line_loses_or_gains_a_field_is_told(tmp_path_factory, rows, data) -> None:
    lines = written(rows)
    row = data.draw(st.integers(0, len(lines) - 1))
    words = lines[row].split()
    place = data.draw(st.integers(0, 3))
    words[place : place + 1] = data.draw(st.sampled_from([[], ["5.0", "5.0"]]))
    lines[row] = " ".join(words)
    with pytest.raises(LogError, match=rf"^uk\.txt, line {row + 2}, column .*, not 4\. Write one event"):
        read_markets(write(tmp_path_factory.mktemp("log"), uk=HEAD + "\n".join(lines)))


@pytest.fixture(scope="module")
def log(mirrored: Callable[[str], BehaviourLog]) -> BehaviourLog:
    return mirrored("xmarket")


def test_the_markets_have_the_counts_of_their_source(log: BehaviourLog) -> None:
    names = log.catalogue
    assert names.scenarios == ("uk", "de", "fr")
    assert (len(log.users), len(names.items), len(log)) == (7041, 4081, 66_471)
    assert np.bincount(log.scenario).tolist() == [31_547, 17_300, 17_624]
    sold = [set(log.item[log.scenario == code]) for code in range(3)]
    assert [len(items) for items in sold] == [3251, 2179, 1879]
    assert [len(sold[0] & sold[1]), len(sold[0] & sold[2]), len(sold[1] & sold[2])] == [1605, 1429, 1242]
    assert [sum(user.startswith(market) for user in log.users) for market in names.scenarios] == [
        3352,
        1851,
        1838,
    ]


def test_notes_count_what_repeats_and_who_is_in_two_markets(log: BehaviourLog) -> None:
    assert any(note.startswith("716 events repeat an earlier one") for note in log.notes)
    assert any(note.startswith("Users whose name stands in several markets: 1.") for note in log.notes)
    assert {"uk_AFWVZ3ZTBFMG5H6F34ZZWFGGGAPQ", "de_AFWVZ3ZTBFMG5H6F34ZZWFGGGAPQ"} <= set(log.users)


def test_most_events_share_their_day_with_another_of_the_user(log: BehaviourLog) -> None:
    _, place, count = np.unique(
        np.stack([log.user, log.time]), axis=1, return_inverse=True, return_counts=True
    )
    assert (count[place.ravel()] > 1).mean() == pytest.approx(0.621, abs=0.001)
