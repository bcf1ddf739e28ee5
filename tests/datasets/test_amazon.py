"""Two domains: every form of the files, every way to break them, and the real ones where they are at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imtlib.data.log import BehaviourLog
from imtlib.data.splits import leave_one_out
from imtlib.datasets.amazon import read_domains
from imtlib.errors import LogError

ITEMS = {"tea": [1, 0], "jam": [2, 0], "pan": [3, 1], "cup": [4, 1]}
EVENTS = "7 2|86400 1|86400 3|172800\n12 4|0 1|86400 2|259200\n"


def files(folder: Path, events: str = EVENTS, items: object = ITEMS) -> tuple[Path, Path]:
    (folder / "events.txt").write_text(events)
    (folder / "items.txt").write_text(items if isinstance(items, str) else json.dumps(items))
    return folder / "events.txt", folder / "items.txt"


def test_a_line_a_user_an_item_has_its_name_and_its_domain(tmp_path: Path) -> None:
    log = read_domains(*files(tmp_path))
    names = log.catalogue
    assert log.users == ("7", "12")
    assert names.items == ("tea", "jam", "pan", "cup")
    assert names.behaviours == ("review",)
    assert log.events_of("7")["item"].tolist() == ["jam", "tea", "pan"]
    assert log.events_of("7")["scenario"].tolist() == ["food", "food", "kitchen"]
    assert log.events_of("12")["time"].tolist() == [0, 86400, 259200]
    assert [names.interests[k] for k in names.item_interests.argmax(axis=1)] == [
        "food",
        "food",
        "kitchen",
        "kitchen",
    ]
    assert [note.split(",")[0] for note in log.notes][:1] == ["All times lie in 1970"]
    assert len(log.notes) == 2


def test_domains_can_have_other_names_and_be_parted_by_a_number(tmp_path: Path) -> None:
    path, _ = files(tmp_path)
    log = read_domains(str(path), 2, domains=("film", "book"))
    assert log.catalogue.items == ("1", "2", "3", "4")
    assert log.catalogue.scenarios == ("film", "book")
    assert log.events_of("12")["scenario"].tolist() == ["book", "film", "film"]
    with pytest.raises(LogError, match=r"item 2 parts two domains, but 3 are named"):
        read_domains(path, 2, domains=("a", "b", "c"))


def test_an_item_without_an_event_stays_and_so_does_an_event_that_repeats(tmp_path: Path) -> None:
    log = read_domains(*files(tmp_path, "u 1|5 1|5\n\n"))
    assert len(log) == 2
    assert len(log.catalogue.items) == 4
    assert any(note.startswith("1 events repeat an earlier one") for note in log.notes)


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("9 1|5 2", r"line 3, event 2: '2' is not item\|time, two whole numbers"),
        ("9 1|5 x|7", r"line 3, event 2: 'x\|7' is not item\|time"),
        ("9 1|5|7", r"line 3, event 1: '1\|5\|7' is not item\|time"),
        ("9 1|2001-05-04", r"line 3, event 1: .* is not item\|time"),
        ("9 1|5 8|6", r"line 3, event 2: item 8 is not in items\.txt\. Add its name"),
        ("9 1|1381536000000", r"line 3, event 1: 1381536000000 seconds .* milliseconds .* Divide"),
        ("9", r"line 3, user: '9' has no event"),
        ("7 1|5", r"line 3, user: '7' has line 1 already\. Put all"),
    ],
)
def test_a_broken_line_is_named_with_its_fix(tmp_path: Path, line: str, where: str) -> None:
    with pytest.raises(LogError, match=rf"^events\.txt, {where}"):
        read_domains(*files(tmp_path, f"{EVENTS}{line}\n"))


@pytest.mark.parametrize(
    ("items", "where"),
    [
        ('{"tea": [1, 0],\n "jam": ', r"items\.txt, line 2, column \d+: this is not JSON .* again\."),
        ("[1, 2]", r"items\.txt is not a JSON object\. Write"),
        ("{}", r"events\.txt, line 1, event 1: item 2 is not in items\.txt"),
        ({"tea": [1]}, r"items\.txt, entry 'tea': \[1\] is not \[item, domain\]"),
        ({"tea": ["1", 0]}, r"items\.txt, entry 'tea': .* two whole numbers"),
        ({"tea": [1, 2]}, r"items\.txt, entry 'tea': domain 2 has no name in \['food', 'kitchen'\]"),
        ({"tea": [1, 0], "jam": [1, 0]}, r"items\.txt, entry 'jam': the name, or item 1, stands .* already"),
        (
            '{"tea": [1, 0], "tea": [2, 0]}',
            r"items\.txt, entry 'tea': the name, or item 2, stands .* already",
        ),
        ({" ": [1, 0]}, r"items\.txt, entry ' ': the name of the item is blank"),
        (" ", r"items\.txt is empty"),
    ],
)
def test_a_broken_item_file_is_named_with_its_fix(tmp_path: Path, items: object, where: str) -> None:
    with pytest.raises(LogError, match=f"^({where})"):
        read_domains(*files(tmp_path, items=items))


def test_files_that_are_empty_missing_or_of_another_kind(tmp_path: Path) -> None:
    path, items = files(tmp_path, "\n \n")
    with pytest.raises(LogError, match=r"events\.txt is empty"):
        read_domains(path, items)
    path.write_bytes(b"\xff\xfe9 1|5")
    with pytest.raises(LogError, match=r"events\.txt is not UTF-8"):
        read_domains(path, items)
    with pytest.raises(FileNotFoundError):
        read_domains(tmp_path / "none.txt", items)


sequences = st.lists(
    st.lists(st.tuples(st.integers(1, 4), st.integers(-3, 3)), min_size=1, max_size=6), min_size=1, max_size=5
)


def written(users: list[list[tuple[int, int]]]) -> list[str]:
    return [
        " ".join([f"u{number}", *(f"{item}|{time}" for item, time in events)])
        for number, events in enumerate(users)
    ]


@settings(max_examples=30, deadline=None)
@given(sequences)
def test_no_event_is_lost_and_the_order_is_that_of_time_then_of_the_file(tmp_path_factory, users) -> None:
    path, items = files(tmp_path_factory.mktemp("log"), "\n".join(written(users)))
    log = read_domains(path, items)
    names = list(ITEMS)
    assert len(log.users) == len(users)
    for number, events in enumerate(users):
        found = log.events_of(f"u{number}")
        ordered = sorted(events, key=lambda event: event[1])
        assert found["item"].tolist() == [names[item - 1] for item, _ in ordered]
        assert found["time"].tolist() == [time for _, time in ordered]


@settings(max_examples=30, deadline=None)
@given(sequences, st.data())
def test_whatever_word_is_broken_its_line_and_place_are_told(tmp_path_factory, users, data) -> None:
    lines = written(users)
    row = data.draw(st.integers(0, len(lines) - 1))
    words = lines[row].split()
    place = data.draw(st.integers(1, len(words) - 1))
    junk = data.draw(
        st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1).filter(
            lambda word: not re.fullmatch(r"[0-9]+\|-?[0-9]+", word) and not word.isspace()
        )
    )
    words[place] = junk
    lines[row] = " ".join(words)
    folder = tmp_path_factory.mktemp("log")
    path, items = files(folder)
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(LogError, match=rf"^events\.txt, line {row + 1}, event {place}: .*Fix it"):
        read_domains(path, items)


@pytest.fixture(scope="module")
def log(mirrored: Callable[[str], BehaviourLog]) -> BehaviourLog:
    return mirrored("amazon-food-kitchen")


def test_food_and_kitchen_has_the_counts_of_its_source(log: BehaviourLog) -> None:
    names = log.catalogue
    assert (len(log.users), len(names.items), len(log)) == (7144, 28_095, 173_548)
    assert names.scenarios == ("food", "kitchen")
    assert names.item_interests.sum(axis=0).tolist() == [11_837, 16_258]
    assert (names.items[0], names.items[-1]) == ("616719923X", "B00KY4Z1I8")
    assert len(log.notes) == 1
    assert log.notes[0].startswith("78,406 events share their time")
    # The scenario of an event is the domain of its item.
    assert (names.item_interests.argmax(axis=1)[log.item] == log.scenario).all()
    assert (log.lengths.min(), log.lengths.max()) == (10, 50)


def test_order_is_that_of_the_file(log: BehaviourLog) -> None:
    first = log.events_of("0")
    assert first["time"].tolist()[:8] == [1_381_536_000] * 7 + [1_381_968_000]
    numbers = [log.catalogue.items.index(name) + 1 for name in first["item"]]
    assert numbers[:9] == [821, 1860, 2986, 3735, 3738, 3741, 12016, 772, 1912]


def test_the_domain_changes_at_a_third_of_the_steps_and_a_third_of_users_end_on_a_tie(
    log: BehaviourLog,
) -> None:
    step = np.diff(log.user) == 0
    assert (np.diff(log.scenario)[step] != 0).mean() == pytest.approx(0.359, abs=0.001)
    last = log.starts[1:] - 1
    tied = log.time[last] == log.time[last - 1]
    assert tied.mean() == pytest.approx(0.318, abs=0.001)
    # Within such a day items ascend: their order says nothing of the person.
    assert (log.item[last] > log.item[last - 1])[tied].all()


def test_the_split_is_always_the_same(log: BehaviourLog) -> None:
    split = leave_one_out(log)
    assert split.hash.startswith("8a27640e4df7")
    assert len(split.test) == 7144


def test_there_is_little_of_each_item(log: BehaviourLog) -> None:
    split = leave_one_out(log)
    lessons = np.bincount(split.train.item, minlength=len(log.catalogue.items))
    assert lessons.mean() == pytest.approx(5.7, abs=0.05)
    assert (lessons[split.test.target] <= 2).mean() > 0.25
