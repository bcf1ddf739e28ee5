"""New users: nothing of theirs is learnt from, and what is asked is what came next."""

from __future__ import annotations

import numpy as np
import pytest

import imtlib as imt
from imtlib.errors import LogError
from imtlib.evaluation.new_users import hold_out_users


@pytest.fixture(scope="module")
def log() -> imt.BehaviourLog:
    return imt.simulate(users=80, items=60, interests=4, events=20)[0]


def test_nothing_of_a_new_user_is_learnt_from_or_chosen_by(log: imt.BehaviourLog) -> None:
    new = hold_out_users(log, share=0.25, longest=5)
    assert len(new.users) == 20
    for found in (new.split.train.user, new.split.valid.user, new.split.test.user):
        assert not np.isin(found, new.users).any()
    others = np.setdiff1d(np.arange(len(log.users)), new.users)
    assert set(new.split.test.user) == set(others)
    assert new.split.train.catalogue.fingerprint == log.catalogue.fingerprint


@pytest.mark.parametrize("events", [0, 1, 5])
def test_the_history_is_the_first_events_and_the_answer_the_next(log: imt.BehaviourLog, events: int) -> None:
    new = hold_out_users(log, share=0.25, longest=5)
    part = new.after(events)
    assert part.user.tolist() == new.users.tolist()
    for row, user in enumerate(new.users):
        own = log.item[log.starts[user] : log.starts[user + 1]]
        begin, end = part.histories.starts[row : row + 2]
        assert part.histories.item[begin:end].tolist() == own[:events].tolist()
        assert part.target[row] == own[events]
        assert part.histories.request_scenario[row] == log.scenario[log.starts[user] + events]
        assert part.histories.profile[row].sum() == 1


def test_first_events_are_all_there_is_of_the_new_users(log: imt.BehaviourLog) -> None:
    new = hold_out_users(log, share=0.25, longest=5)
    few = new.first_events(3)
    count = few.lengths
    assert (count[new.users] == 3).all()
    assert count.sum() == 3 * len(new.users)
    part = new.after(3)
    np.testing.assert_array_equal(few.item, part.histories.item)


def test_the_draw_is_the_seeds_and_the_hash_tells_it(log: imt.BehaviourLog) -> None:
    one, same, other = (hold_out_users(log, seed=seed) for seed in (0, 0, 1))
    assert one.users.tolist() == same.users.tolist()
    assert one.split.hash == same.split.hash
    assert one.users.tolist() != other.users.tolist()
    assert one.split.hash != other.split.hash


def test_what_cannot_be_asked(log: imt.BehaviourLog) -> None:
    with pytest.raises(ValueError, match=r"share=1\.0"):
        hold_out_users(log, share=1.0)
    with pytest.raises(LogError, match="0 users have more than 1000 events"):
        hold_out_users(log, longest=1000)
    new = hold_out_users(log, longest=5)
    with pytest.raises(ValueError, match="events=6 is outside 0 … 5"):
        new.after(6)
    with pytest.raises(ValueError, match="events=0 is outside 1 … 5"):
        new.first_events(0)
