"""The parsed copy: equal to the parsed log in every byte, and not used if it is another's or damaged."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.logs import assert_same

from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.datasets import log_cache
from imtlib.datasets.download import Download
from imtlib.datasets.log_cache import COPY, pack, parsed_once, unpack

RAW = b"ann tea 5\nbob jam 3\nann jam 9\n"


names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=4
)
features = {
    "year": st.lists(st.none() | st.integers(1900, 2030), min_size=6, max_size=6).map(
        lambda values: pd.array(values, dtype="Int64")
    ),
    "price": st.lists(st.floats(width=32) | st.just(-0.0), min_size=6, max_size=6),
    "new": st.lists(st.booleans(), min_size=6, max_size=6),
    "title": st.lists(st.none() | st.text(max_size=5), min_size=6, max_size=6),
    "since": st.lists(st.datetimes(), min_size=6, max_size=6).map(pd.to_datetime),
}


@st.composite
def logs(draw: st.DrawFn) -> BehaviourLog:
    known = draw(st.lists(names, min_size=6, max_size=6, unique=True))
    some = st.sampled_from([*known, "one more"])
    events = draw(st.lists(st.tuples(some, some, some, some, st.integers(-9, 9)), min_size=1, max_size=12))
    columns = {name: draw(values) for name, values in features.items() if draw(st.booleans())}
    items = pd.DataFrame({"item": known, **columns})
    items["interests"] = draw(st.lists(st.sampled_from(["", "a", "b|a"]), min_size=6, max_size=6))
    groups = st.sampled_from([None, "a", draw(names)])
    users = pd.DataFrame({"user": known, "group": draw(st.lists(groups, min_size=6, max_size=6))})
    given_users = draw(st.booleans())
    # A table must share a name with the events.
    events.append((known[0], known[0], known[0], known[0], 0))
    return read_log(
        pd.DataFrame(events, columns=["user", "item", "scenario", "behaviour", "time"]),
        items=draw(st.none() | st.just(items)),
        users=users if given_users else None,
        user_features=["group"] if given_users else [],
    )


@settings(max_examples=30, deadline=None)
@given(logs())
def test_a_packed_log_is_the_log_in_every_byte(log: BehaviourLog) -> None:
    packed = pack(log)
    assert_same(unpack(packed), log)
    assert pack(unpack(packed)) == packed


class Parser:
    """Parses the file of the test, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> BehaviourLog:
        self.times += 1
        lines = (folder / "raw.txt").read_text().splitlines()
        table = pd.DataFrame([line.split() for line in lines], columns=["user", "item", "time"])
        return read_log(table, scenario=None, behaviour=None)


@pytest.fixture
def parse() -> Parser:
    return Parser()


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Download]:
    """Put a file into the cache, as if it had been fetched."""
    monkeypatch.setenv("IMTLIB_CACHE", str(tmp_path))
    (tmp_path / "pack").mkdir()

    def put(raw: bytes) -> Download:
        (tmp_path / "pack" / "raw.txt").write_bytes(raw)
        return Download("Pack", "pack", {"raw.txt": hashlib.sha256(raw).hexdigest()}, (), "")

    return put


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "pack" / COPY


def test_a_text_is_parsed_once(put: Callable[[bytes], Download], parse: Parser, copy: Path) -> None:
    wanted = put(RAW)
    first, second = parsed_once(wanted, parse), parsed_once(wanted, parse)
    assert parse.times == 1
    assert_same(second, first)
    assert sorted(path.name for path in copy.parent.iterdir()) == [".lock", COPY, "raw.txt"]


def test_other_files_are_parsed_anew(put: Callable[[bytes], Download], parse: Parser) -> None:
    parsed_once(put(RAW), parse)
    assert len(parsed_once(put(RAW + b"eva tea 1\n"), parse)) == 4
    assert len(parsed_once(put(RAW), parse)) == 3
    assert parse.times == 3


def test_another_parser_parses_anew(
    put: Callable[[bytes], Download], parse: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = put(RAW)
    parsed_once(wanted, parse)
    monkeypatch.setattr(log_cache, "_parser_version", lambda: ["another"])
    parsed_once(wanted, parse)
    assert parse.times == 2


def test_the_version_of_the_parser_is_that_of_its_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for room in ("data", "datasets"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "module.py").write_text("one")
    monkeypatch.setattr(log_cache, "__file__", str(tmp_path / "datasets" / "log_cache.py"))
    found = set()
    for text, room in (("one", "data"), ("two", "data"), ("two", "datasets")):
        (tmp_path / room / "module.py").write_text(text)
        found.add(log_cache._parser_version.__wrapped__()[0])
    assert len(found) == 3


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_damaged_copy_is_made_anew(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder, parse = tmp_path_factory.mktemp("cache") / "pack", Parser()
    folder.mkdir()
    (folder / "raw.txt").write_bytes(RAW)
    wanted = Download("Pack", "pack", {"raw.txt": hashlib.sha256(RAW).hexdigest()}, (), "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMTLIB_CACHE", str(folder.parent))
        log = parsed_once(wanted, parse)
        good = (folder / COPY).read_bytes()
        place = data.draw(st.integers(0, len(good) - 1))
        changed = bytes([good[place] ^ data.draw(st.integers(1, 255))])
        bad = data.draw(
            st.sampled_from([good[:place], good[:place] + changed + good[place + 1 :], good + b"x"])
        )
        (folder / COPY).write_bytes(bad)
        assert_same(parsed_once(wanted, parse), log)
        assert parse.times == 2
        assert (folder / COPY).read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_hindrance(
    put: Callable[[bytes], Download], parse: Parser, copy: Path
) -> None:
    wanted = put(RAW)
    (copy.parent / ".lock").mkdir()  # so that no lock can be taken
    assert len(parsed_once(wanted, parse)) == len(parsed_once(wanted, parse)) == 3
    assert parse.times == 2
    assert not copy.exists()


def test_two_runs_at_once_both_have_the_log(
    put: Callable[[bytes], Download], parse: Parser, copy: Path
) -> None:
    wanted, both_parse, found = put(RAW), threading.Barrier(2), []

    def run() -> None:
        def meet(folder: Path) -> BehaviourLog:
            both_parse.wait(60)
            return parse(folder)

        found.append(parsed_once(wanted, meet))

    runs = [threading.Thread(target=run) for _ in range(2)]
    for one in runs:
        one.start()
    for one in runs:
        one.join(60)
    assert_same(*found)
    assert_same(parsed_once(wanted, parse), found[0])
    assert parse.times == 2
    assert [path.name for path in copy.parent.iterdir() if path.suffix == ".npz"] == [COPY]
