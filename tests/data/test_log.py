"""The log: its names, its tables, the history of a user, and what leaves with rare users and items."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.data.times import seconds
from imtlib.errors import LogError, UnknownNameError

EVENTS = pd.DataFrame(
    [
        ("ann", "pen", "shop", "view", 30),
        ("bob", "ink", "shop", "buy", 10),
        ("ann", "ink", "home", "view", 20),
        ("ann", "pad", "shop", "buy", 30),
        ("bob", "pen", "home", "view", 40),
    ],
    columns=["user", "item", "scenario", "behaviour", "time"],
)
ITEMS = pd.DataFrame(
    {"item": ["ink", "pad", "pen", "cap"], "interests": ["a|b", "b", "a", "c"], "price": [1, 2, 3, 4]}
)
USERS = pd.DataFrame({"user": ["bob", "cy", "ann"], "age": [30, 9, None], "town": ["Rom", "Ulm", "Ulm"]})


@pytest.fixture
def log() -> BehaviourLog:
    return read_log(EVENTS, items=ITEMS, users=USERS, user_features=["age", "town"], time_unit="s")


def test_events_stand_by_user_and_time_and_ties_keep_their_order(log: BehaviourLog) -> None:
    assert log.users == ("bob", "cy", "ann")
    assert log.to_frame().values.tolist() == [
        ["bob", "ink", "shop", "buy", 10],
        ["bob", "pen", "home", "view", 40],
        ["ann", "ink", "home", "view", 20],
        ["ann", "pen", "shop", "view", 30],
        ["ann", "pad", "shop", "buy", 30],
    ]
    assert log.user.tolist() == [0, 0, 2, 2, 2]
    assert log.user.dtype == log.item.dtype == log.scenario.dtype == np.int32
    assert log.starts.dtype == log.time.dtype == np.int64
    assert len(log.events_of("cy")) == 0
    assert log.events_of("ann")["item"].tolist() == ["ink", "pen", "pad"]


def test_a_log_read_back_from_its_table_is_the_same(log: BehaviourLog) -> None:
    again = read_log(log.to_frame(), items=ITEMS, users=USERS)
    pd.testing.assert_frame_equal(again.to_frame(), log.to_frame())


def test_repr_tells_counts_and_every_note(log: BehaviourLog) -> None:
    assert "5 events, 3 users, 4 items, 3 interests, 2 scenarios, 2 behaviours" in repr(log)
    assert all(note in repr(log) for note in log.notes)
    assert len(log.notes) == 4


def test_history_defaults_to_the_last_event(log: BehaviourLog) -> None:
    history = log.histories("ann")
    names = log.catalogue
    assert [names.items[i] for i in history.item] == ["ink", "pen", "pad"]
    assert history.starts.tolist() == [0, 3]
    assert names.scenarios[history.request_scenario[0]] == "shop"
    assert history.request_time.tolist() == [30]
    assert history.profile.tolist() == [[0, 0, 0, 1]]  # age unknown; Rom, Ulm


def test_history_at_a_moment_knows_nothing_later(log: BehaviourLog) -> None:
    history = log.histories("ann", at=29)
    assert len(history.item) == 1
    assert log.catalogue.scenarios[history.request_scenario[0]] == "home"
    assert len(log.histories("ann", at=30).item) == 3
    empty = log.histories("ann", scenario="home", at="1970-01-01 00:00:19")
    assert len(empty.item) == 0
    assert empty.request_time.tolist() == [19]


def test_a_history_that_cannot_be_had_says_what_to_give(log: BehaviourLog) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown user 'dan': the log holds 3 users.*exactly"):
        log.histories("dan")
    with pytest.raises(UnknownNameError, match="unknown scenario 'sea'"):
        log.histories("ann", scenario="sea")
    with pytest.raises(LogError, match="not a moment: 'soon'"):
        log.histories("ann", at="soon")
    empty = log.filter(np.zeros(len(log), np.bool_))
    with pytest.raises(LogError, match="the log has no event to take the time and scenario"):
        empty.histories()
    assert len(empty.histories(scenario="shop", at=7)) == 3


def test_histories_of_everybody_are_those_of_each(log: BehaviourLog) -> None:
    every = log.histories()
    assert every.lengths.tolist() == [2, 0, 3]
    # Of cy nothing is known: the usual scenario, and the end of the log.
    assert every.request_time.tolist() == [40, 40, 30]
    assert [log.catalogue.scenarios[code] for code in every.request_scenario] == ["home", "shop", "shop"]
    for at in (None, 5, 20, 30, "2026-11-30"):
        whole = log.histories(at=at)
        for row, user in enumerate(log.users):
            one, same = log.histories(user, at=at), whole.take([row])
            for field in (
                "starts",
                "item",
                "scenario",
                "time",
                "request_time",
                "request_scenario",
                "profile",
            ):
                np.testing.assert_array_equal(getattr(one, field), getattr(same, field), field)
    assert log.histories(["ann", "bob"]).lengths.tolist() == [3, 2]
    assert log.histories(at=20).time.max() <= 20


def test_histories_before_events_hold_what_came_earlier(log: BehaviourLog) -> None:
    histories = log.histories_before(np.array([4, 0, 1]))
    assert histories.lengths.tolist() == [2, 0, 1]
    assert histories.item.tolist() == [*log.item[2:4], log.item[0]]
    assert histories.request_time.tolist() == [30, 10, 40]
    assert histories.request_scenario.tolist() == log.scenario[[4, 0, 1]].tolist()


def test_profile_vectors_are_one_hot_in_the_order_of_the_catalogue(log: BehaviourLog) -> None:
    assert dict(log.catalogue.user_features) == {"age": ("9", "30"), "town": ("Rom", "Ulm")}
    vectors = log.profile_vectors(np.array([0, 1, 2, 0]))
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 1, 0]]
    bare = read_log(EVENTS)
    assert bare.profile_vectors(np.array([0, 1])).shape == (2, 0)


def test_keep_frequent_counts_once_and_keeps_order() -> None:
    table = pd.DataFrame(
        [("u", "a"), ("u", "b"), ("v", "a"), ("v", "b"), ("w", "c"), ("u", "d")], columns=["user", "item"]
    )
    table["time"] = range(6)
    table["scenario"] = ["s", "s", "s", "s", "t", "r"]
    items = pd.DataFrame({"item": ["d", "c", "b", "a"], "interests": ["z", "y", "x", "x|z"]})
    users = pd.DataFrame({"user": ["w", "v", "u"], "age": [1, 2, 3]})
    kept = read_log(table, items=items, users=users, behaviour=None, user_features=["age"]).keep_frequent(2)
    assert kept.users == ("v", "u")
    assert kept.catalogue.items == ("b", "a")
    assert kept.catalogue.interests == ("x", "z")
    assert kept.catalogue.scenarios == ("s",)
    assert kept.catalogue.item_interests.tolist() == [[True, False], [True, True]]
    assert kept.to_frame()[["user", "item"]].values.tolist() == [
        ["v", "a"],
        ["v", "b"],
        ["u", "a"],
        ["u", "b"],
    ]
    assert kept.user_features["age"].tolist() == ["2", "3"]
    assert kept.item_features.index.tolist() == ["b", "a"]
    assert kept.notes[-1].endswith("counted once: 1 users, 2 items, 2 events.")
    # v has 2 events and stays, though only one is left once b and c are gone.
    fewer = read_log(table[table["item"] != "b"], scenario=None, behaviour=None).keep_frequent(2)
    assert fewer.users == ("u",)
    with pytest.raises(LogError, match="ask for fewer"):
        kept.keep_frequent(3)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (7, 7),
        (7.9, 7),
        (-0.5, -1),
        ("1970-01-02", 86_400),
        ("1970-01-01T08:00:00+08:00", 0),
        (pd.Timestamp("1970-01-01 00:01"), 60),
    ],
)
def test_seconds_reads_moments(moment: object, expected: int) -> None:
    assert seconds(moment) == expected


@pytest.mark.parametrize("moment", ["soon", None, float("nan"), float("inf")])
def test_seconds_refuses_what_is_no_moment(moment: object) -> None:
    with pytest.raises(LogError, match="not a moment"):
        seconds(moment)


def test_fingerprint_changes_with_any_meaning(log: BehaviourLog) -> None:
    known: dict[str, Any] = {"users": USERS, "user_features": ["age", "town"]}
    same = read_log(EVENTS, items=ITEMS, **known)
    other = read_log(EVENTS, items=ITEMS.assign(interests=["a", "b", "a", "c"]), **known)
    assert same.catalogue.fingerprint == log.catalogue.fingerprint != other.catalogue.fingerprint


def test_spread_gives_each_interest_its_share(log: BehaviourLog) -> None:
    event, interest, share = log.catalogue.spread(np.array([1, 0, 3], np.int32))
    assert event.tolist() == [0, 1, 1, 2]
    assert [log.catalogue.interests[code] for code in interest] == ["b", "a", "b", "c"]
    assert share.tolist() == [1, 0.5, 0.5, 1]
