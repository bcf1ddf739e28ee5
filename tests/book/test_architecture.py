"""What the page on the library says is read from the code: imports, their order, and what passes through."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.worlds import random_histories, small_catalogue

from imtlib.book.architecture import FIVE, bare_arrows, modules, passed_through, rooms, rows
from imtlib.book.floor_plan import HIGH, floor_plan
from imtlib.data.profile import interest_shares

HOUSE = {
    "data": frozenset[str](),
    **dict.fromkeys(FIVE, frozenset({"data"})),
    "model": frozenset({"data", *FIVE}),
    "evaluation": frozenset({"data"}),
    "analysis": frozenset({"model", "evaluation"}),
}


def test_imports_are_read_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    files = {
        "data/log.py": "import numpy\n",
        "data/reader.py": "from imtlib.data import log\n",
        "model.py": "import imtlib.data.reader as r\n\ndef late():\n    from imtlib.data.log import Log\n",
        "__init__.py": "from imtlib.model import Model\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf8")
    assert modules(tmp_path) == {
        "data.log": frozenset(),
        "data.reader": {"data.log"},
        "model": {"data.log", "data.reader"},
    }


def test_a_folder_without_modules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        modules(tmp_path)


def test_rooms_leave_out_themselves_and_what_stands_everywhere() -> None:
    found = {
        "data.log": frozenset({"data.catalogue", "errors"}),
        "data.catalogue": frozenset({"types"}),
        "model": frozenset({"data.log", "types"}),
        "types": frozenset[str](),
        "errors": frozenset[str](),
    }
    assert rooms(found) == {"data": frozenset(), "model": {"data"}}


def test_every_room_of_the_library_stands_below_all_that_it_imports() -> None:
    house = rooms(modules())
    floor = {name: number for number, row in enumerate(rows(house)) for name in row}
    assert set(floor) == set(house)
    assert {"data", "model", "training", *FIVE} <= set(house)
    for name, used in house.items():
        assert all(floor[other] < floor[name] for other in used), name


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match=r"circle: .*data.*model"):
        rows({**HOUSE, "data": frozenset({"model"})})


def test_where_a_row_grows_too_wide_the_room_moves_up_that_can() -> None:
    crowd = {name: frozenset({"model"}) for name in ("p", "q", "r", "s")}
    placed = rows({**HOUSE, **crowd, "early": frozenset({"data"})})
    assert sorted(placed[-1]) == ["analysis", "p", "q", "r", "s"]
    assert sorted(placed[-2]) == ["early", "evaluation", "model"]
    assert placed[1] == list(FIVE)


def test_arrows_leave_out_what_a_longer_way_says() -> None:
    first = FIVE[0]
    assert bare_arrows(HOUSE) == {
        ("data", first),
        ("data", "evaluation"),
        (first, "model"),
        ("model", "analysis"),
        ("evaluation", "analysis"),
    }


def test_a_call_passes_through_the_rooms_that_it_enters() -> None:
    histories = random_histories(small_catalogue(), [3, 5])
    assert passed_through(lambda: interest_shares(histories)) == ["data"]
    assert passed_through(lambda: sorted("ab")) == []


def test_the_drawing_shows_every_room_and_number_and_says_so_in_words() -> None:
    drawing = floor_plan(HOUSE, {"A history": ["data", "encoding"], "A batch": ["model"]})
    image = ElementTree.fromstring(drawing.svg)
    texts = [str(text.text) for text in image.iter("text")]
    assert sorted(texts) == sorted([*HOUSE, "1", "2", "1"])
    label = image.find("svg").get("aria-label")
    assert label == drawing.alt
    assert all(name in label for name in HOUSE)
    assert "A history passes through data, encoding." in label


def test_no_arrow_runs_through_a_room() -> None:
    house = rooms(modules())
    image = ElementTree.fromstring(floor_plan(house).svg)
    boxes = [
        (float(box.get("x")), float(box.get("y")), float(box.get("width"))) for box in image.iter("rect")
    ]
    ways = [str(path.get("d")) for path in image.iter("path")]
    assert len(ways) == len(bare_arrows(house))
    passed = 0
    for way in ways:
        for x, y in re.findall(rf"(-?\d+) (-?\d+) v{HIGH}", way):
            passed += 1
            row = [(left, left + wide) for left, top, wide in boxes if abs(top - float(y)) < 12]
            assert row
            assert not any(left <= float(x) <= right for left, right in row)
        ends = [float(y) for y in re.findall(r"[M ]-?\d+ (-?\d+)(?= C| v| m|$)", way)]
        assert all(after > before for before, after in pairwise(ends))
    assert passed > 0


def test_more_paths_than_marks_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 2 paths"):
        floor_plan(HOUSE, {"one": [], "two": [], "three": []})
