"""Controls: what a shuffle must keep, and that clusters of behaviour find interests that are really there."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from imtlib.baselines.counting import Popularity
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import ModelFileError
from imtlib.evaluation.ablations import (
    interests_from_behaviour,
    shuffled_interests,
    with_interests,
    without_scenarios,
)
from imtlib.evaluation.ranking import evaluate
from imtlib.simulation.simulator import simulate


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(simulate(users=600, items=80, interests=4, trigger=0.0, seed=2)[0])


def test_a_shuffle_keeps_the_counts_and_loses_the_meaning(split: Split) -> None:
    old = split.train.catalogue
    new = shuffled_interests(old, seed=0)
    assert new.item_interests.sum(axis=0).tolist() == old.item_interests.sum(axis=0).tolist()
    assert sorted(new.item_interests.sum(axis=1)) == sorted(old.item_interests.sum(axis=1))
    assert (new.item_interests != old.item_interests).any(axis=1).mean() > 0.3
    np.testing.assert_array_equal(new.item_interests, shuffled_interests(old, seed=0).item_interests)
    assert (new.item_interests != shuffled_interests(old, seed=1).item_interests).any()


def test_clusters_of_behaviour_are_the_interests_where_interests_persist() -> None:
    log, _ = simulate(users=600, items=80, interests=4, trigger=0.0, stay=0.8, seed=2)
    single = log.catalogue.item_interests.sum(axis=1) == 1
    true = log.catalogue.item_interests.argmax(axis=1)[single]
    found = interests_from_behaviour(leave_one_out(log).train, seed=0)
    assert found.interests == ("cluster 0", "cluster 1", "cluster 2", "cluster 3")
    np.testing.assert_array_equal(found.item_interests.sum(axis=1), log.catalogue.item_interests.sum(axis=1))
    clusters = found.item_interests.argmax(axis=1)[single]
    assert adjusted_rand_score(true, clusters) > 0.5
    dealt = shuffled_interests(log.catalogue, seed=0).item_interests.argmax(axis=1)[single]
    assert adjusted_rand_score(true, dealt) < 0.1


def test_a_split_with_other_interests_is_the_same_split(split: Split) -> None:
    new = shuffled_interests(split.train.catalogue, seed=0)
    other = with_interests(split, new)
    assert other.hash == split.hash
    for part in (other.valid, other.test):
        assert part.histories.catalogue is new
    np.testing.assert_array_equal(other.test.target, split.test.target)
    same = evaluate(Popularity(split.train), split.test)["NDCG@10"]
    assert evaluate(Popularity(other.train), other.test)["NDCG@10"] == same
    strange = leave_one_out(simulate(users=20, items=20, events=6, interests=4)[0]).train.catalogue
    with pytest.raises(ModelFileError, match="items: 60 of the split alone"):
        with_interests(split, strange)


def test_an_interest_that_no_item_has_is_refused() -> None:
    split = leave_one_out(simulate(30, 20, 4, events=8, seed=1)[0])
    catalogue = split.train.catalogue
    empty = catalogue.item_interests.copy()
    empty[:, 2] = False
    with pytest.raises(ValueError, match=r"no item has the interest \['.+'\]"):
        with_interests(split, replace(catalogue, item_interests=empty))


def test_who_is_not_told_sees_one_scenario_and_the_same_requests(split: Split) -> None:
    pooled = without_scenarios(split)
    for part, was in ((pooled.valid, split.valid), (pooled.test, split.test)):
        assert not part.histories.scenario.any()
        assert not part.histories.request_scenario.any()
        np.testing.assert_array_equal(part.histories.item, was.histories.item)
        np.testing.assert_array_equal(part.target, was.target)
    assert not pooled.train.scenario.any()
    assert split.train.scenario.any()
    assert pooled.train.catalogue.fingerprint == split.train.catalogue.fingerprint
    assert pooled.hash == split.hash
