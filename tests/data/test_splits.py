"""Splits: no event of the future in any history, every event in one place, and a hash that tells."""

import hashlib
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imtlib.data.histories import EvaluationSet
from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.data.splits import leave_one_out, time_split
from imtlib.errors import LogError
from imtlib.evaluation.new_items import hold_out_items
from imtlib.evaluation.new_users import hold_out_users
from imtlib.evaluation.per_scenario import only_scenario
from imtlib.evaluation.protocols import drop_tied_requests
from imtlib.simulation.simulator import simulate


def log_of(rows: list[tuple[str, int]]) -> BehaviourLog:
    """A log of (user, time) in which each event has an item of its own, named by its row."""
    table = pd.DataFrame(rows, columns=["user", "time"])
    table["item"] = [f"{row}" for row in range(len(rows))]
    table["scenario"] = [f"s{row % 3}" for row in range(len(rows))]
    return read_log(table, behaviour=None)


rows = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 30)), min_size=1, max_size=40)


def by_hand(table: list[tuple[str, int]]) -> dict[str, list[tuple[int, str]]]:
    """Each user's (time, item) in order; Python's sort is stable."""
    lives: dict[str, list[tuple[int, str]]] = {}
    for row, (user, time) in enumerate(table):
        lives.setdefault(user, []).append((time, f"{row}"))
    return {user: sorted(life, key=lambda event: event[0]) for user, life in lives.items()}


def requests(log: BehaviourLog, part: EvaluationSet) -> dict[str, tuple[list[str], str, int, str]]:
    """History, target, time and scenario of each user's request, in names."""
    names, known = log.catalogue, part.histories
    return {
        log.users[user]: (
            [names.items[i] for i in known.item[known.starts[row] : known.starts[row + 1]]],
            names.items[part.target[row]],
            int(known.request_time[row]),
            names.scenarios[known.request_scenario[row]],
        )
        for row, user in enumerate(part.user)
    }


@settings(max_examples=60, deadline=None)
@given(rows)
def test_leave_one_out_equals_the_split_by_hand(table: list[tuple[str, int]]) -> None:
    log, lives = log_of(table), by_hand(table)
    long = {user: life for user, life in lives.items() if len(life) >= 3}
    if not long:
        with pytest.raises(LogError, match="three events"):
            leave_one_out(log)
        return
    split = leave_one_out(log)
    for part, back in ((split.valid, 2), (split.test, 1)):
        expected = {}
        for user, life in long.items():
            time, target = life[-back]
            expected[user] = ([i for _, i in life[:-back]], target, time, f"s{int(target) % 3}")
        assert requests(log, part) == expected
    learnt = split.train.to_frame()["item"].tolist()
    asked = [log.catalogue.items[i] for part in (split.valid, split.test) for i in part.target]
    assert sorted(learnt + asked) == sorted(log.catalogue.items)  # every event is in one place
    short = len(lives) - len(long)
    assert split.notes == (
        (f"{short} users with fewer than 3 events are in the training part only.",) if short else ()
    )
    assert split.train.catalogue is log.catalogue
    assert split.train.users == log.users


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(1, 30), st.integers(1, 30))
def test_time_split_equals_the_split_by_hand(table: list[tuple[str, int]], first: int, second: int) -> None:
    log, lives = log_of(table), by_hand(table)
    valid_at, at = min(first, second), max(first, second) + 1
    expected = []
    for begin, end in ((valid_at, at), (at, 99)):
        asked = {}
        for user, life in lives.items():
            past = [item for time, item in life if time < begin]
            coming = [(time, item) for time, item in life if begin <= time < end]
            if past and coming:
                time, target = coming[0]
                asked[user] = (past, target, time, f"s{int(target) % 3}")
        expected.append(asked)
    early = [item for life in lives.values() for time, item in life if time < valid_at]
    if not (early and all(expected)):
        with pytest.raises(LogError):
            time_split(log, at, valid_at)
        return
    split = time_split(log, at, valid_at)
    assert [requests(log, split.valid), requests(log, split.test)] == expected
    assert sorted(split.train.to_frame()["item"]) == sorted(early)
    rest = len(log) - len(early) - len(split.valid) - len(split.test)
    told = [note for note in split.notes if "later events are no target" in note]
    assert told == (
        [f"{rest} later events are no target: a user is asked once a period, and only with an event before."]
        if rest
        else []
    )
    assert (split.train.time < valid_at).all()
    for part in (split.valid, split.test):
        owner = part.histories.owner
        assert (part.histories.time < part.histories.request_time[owner]).all()


TABLE = [("a", 10), ("a", 20), ("a", 30), ("a", 40), ("b", 5), ("b", 25), ("b", 36), ("c", 50), ("d", 22)]


def test_moments_are_seconds_dates_or_shares() -> None:
    log = log_of(TABLE)
    split = time_split(log, 35, 22)
    same = [
        time_split(log, "1970-01-01 00:00:35", "1970-01-01T00:00:22Z"),
        time_split(log, datetime(1970, 1, 1, 0, 0, 35), 22.0),
        time_split(log, 0.65, 0.3),  # the 7th of 9 events in time, at 36, and the 4th, at 22
    ]
    assert {other.hash for other in same} == {split.hash}
    assert requests(log, split.valid)["b"] == (["4"], "5", 25, "s2")
    assert requests(log, split.test)["a"] == (["0", "1", "2"], "3", 40, "s0")
    assert split.notes == (
        "1 users have their first event in the validation period, and are not asked about in it.",
        "1 users have their first event in the test period, and are not asked about in it.",
        "2 later events are no target: a user is asked once a period, and only with an event before.",
    )
    assert f"hash {split.hash[:12]}" in repr(split)
    assert all(note in repr(split) for note in split.notes)


def test_validation_is_by_default_the_last_tenth_before_the_test() -> None:
    log = log_of([("a", time) for time in range(100)] + [("b", 0), ("b", 95)])
    split = time_split(log, 80)
    assert split.valid.histories.request_time.tolist() == [73 - 1]
    assert len(split.train) == 73


def test_what_cannot_be_split_says_why() -> None:
    log = log_of(TABLE)
    with pytest.raises(LogError, match="no event lies before 3: the log goes from 1970-01-01 00:00:05 to"):
        time_split(log, 3)
    with pytest.raises(LogError, match=r"nothing to test on .*00:00:05 to .*00:00:50"):
        time_split(log, 60)
    with pytest.raises(
        LogError, match=r"valid_at, 1970-01-01 00:00:35, must lie before at, 1970-01-01 00:00:30"
    ):
        time_split(log, 30, 35)
    with pytest.raises(LogError, match="nothing to learn from"):
        time_split(log, 30, 5)
    with pytest.raises(LogError, match="not a moment: 'later'"):
        time_split(log, "later")
    empty = log.filter(np.zeros(len(log), bool))
    for split in (leave_one_out, lambda log: time_split(log, 0.5)):
        with pytest.raises(LogError):
            split(empty)


def test_the_hash_tells_splits_apart_and_not_vocabularies() -> None:
    log = log_of(TABLE)
    split = leave_one_out(log)
    items = pd.DataFrame({"item": sorted(log.catalogue.items, reverse=True), "interests": "x"})
    again = leave_one_out(read_log(log.to_frame(), items=items))
    assert again.train.item.tolist() != split.train.item.tolist()
    assert again.hash == split.hash
    changed = [
        [("a", 11), *TABLE[1:]],
        [("e", 10), *TABLE[1:]],
        [TABLE[1], TABLE[0], *TABLE[2:]],
        TABLE[:-1],
    ]
    hashes = {leave_one_out(log_of(table)).hash for table in changed} | {
        split.hash,
        time_split(log, 35, 22).hash,
    }
    assert len(hashes) == 6


def test_ties_keep_the_order_of_the_table() -> None:
    log = log_of([("a", 7)] * 200)
    split = leave_one_out(log)
    assert log.catalogue.items[split.test.target[0]] == "199"
    assert split.valid.histories.item.tolist() == list(range(198))


def test_derived_splits_keep_the_hashes_that_files_of_results_hold() -> None:
    log = simulate(users=80, items=60, interests=4, events=20)[0]
    split = leave_one_out(log)
    derived = [
        hold_out_users(log).split,
        hold_out_items(log).split,
        only_scenario(split, "shop"),
        drop_tied_requests(split, log),
    ]
    assert [one.hash[:8] for one in derived] == ["b57dfd99", "5934554b", "c64f3f7e", "465ce9ef"]
    text = f"{split.hash}\x1fa\x1fb"
    marked = split.derive("a", "b", note="Changed.")
    assert marked.hash == hashlib.sha256(text.encode()).hexdigest()
    assert marked.notes == (*split.notes, "Changed.")
