"""New items are nowhere in what is learnt, and every request asks for one."""

from __future__ import annotations

import numpy as np
import pytest

from imtlib.baselines.counting import Popularity
from imtlib.data.log import BehaviourLog
from imtlib.errors import LogError, ModelFileError
from imtlib.evaluation.new_items import InterestsAlone, NewItems, chance_of_hit, hold_out_items
from imtlib.evaluation.ranking import evaluate
from imtlib.simulation.simulator import simulate


@pytest.fixture(scope="module")
def log() -> BehaviourLog:
    return simulate(users=120, events=20)[0]


@pytest.fixture(scope="module")
def new(log: BehaviourLog) -> NewItems:
    return hold_out_items(log, share=0.2, least=5, seed=0)


def test_new_items_are_nowhere_in_what_is_learnt(new: NewItems) -> None:
    assert len(new.items) > 10
    for known in (new.split.train.item, new.split.valid.target, new.split.test.target):
        assert not np.isin(known, new.items).any()
    for part in (new.split.valid, new.split.test, new.requests):
        assert not np.isin(part.histories.item, new.items).any()
    assert np.isin(new.requests.target, new.items).all()


def test_a_request_is_the_last_new_event_of_its_user_and_knows_what_came_before(
    log: BehaviourLog, new: NewItems
) -> None:
    assert len(np.unique(new.requests.user)) == len(new.requests)
    for row in range(len(new.requests)):
        user = new.requests.user[row]
        life = slice(log.starts[user], log.starts[user + 1])
        item, time = log.item[life], log.time[life]
        last = np.flatnonzero(np.isin(item, new.items))[-1]
        one = new.requests.histories.take(slice(row, row + 1))
        before = item[:last]
        assert item[last] == new.requests.target[row]
        assert one.request_time[0] == time[last]
        np.testing.assert_array_equal(one.item, before[~np.isin(before, new.items)])


def test_the_draw_is_by_the_seed(log: BehaviourLog, new: NewItems) -> None:
    again, other = (hold_out_items(log, share=0.2, least=5, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(again.items, new.items)
    assert again.split.hash == new.split.hash != other.split.hash


def test_the_floors(log: BehaviourLog, new: NewItems) -> None:
    popularity = evaluate(new.among(Popularity(new.split.train)), new.requests)
    np.testing.assert_array_equal(popularity.rank, len(new.items))  # all tie, and a tie counts against
    alone = evaluate(new.among(InterestsAlone(log)), new.requests)
    assert alone["MRR"] > 1.5 * popularity["MRR"]
    assert chance_of_hit(new.requests, 10, new.items) == pytest.approx(10 / len(new.items))
    one = new.requests.take(slice(0, 1))
    unseen = len(log.catalogue.items) - len(np.unique(one.histories.item))
    assert chance_of_hit(one, 10) == pytest.approx(10 / unseen)


def test_interests_alone_is_a_distribution_without_preference_within(
    log: BehaviourLog, new: NewItems
) -> None:
    some = new.requests.histories.take(slice(5))
    p = np.exp(InterestsAlone(log).score(some))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    held = log.catalogue.item_interests
    same = np.flatnonzero((held == held[0]).all(axis=1))
    np.testing.assert_allclose(p[:, same], p[:, :1] * np.ones(len(same)))
    other = simulate(users=5, world=1)[0]
    with pytest.raises(ModelFileError, match="Make the floor for this log"):
        InterestsAlone(other).score(some)


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"share": 1.0}, ValueError, r"share=1\.0 is not between"),
        ({"least": 10**6}, LogError, "0 items have 1000000 events"),
    ],
)
def test_what_cannot_be_held_out(log: BehaviourLog, asked: dict, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        hold_out_items(log, **asked)
