"""Lists: what a policy respects, what the reasons say, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.worlds import random_histories, small_model

from imtlib.data.log import BehaviourLog
from imtlib.data.queries import Event, in_catalogue, without_each
from imtlib.errors import ModelFileError, UnknownNameError
from imtlib.model import InterestMigrationModel
from imtlib.recommendation import (
    Policy,
    choose,
    items_through_interests,
    responsibility,
    target_through_interests,
)

EVENTS = [Event("item 3", "shop", "view", 10), Event("item 5", "video", "buy", 20)]


def test_the_mixture_is_its_definition() -> None:
    rng = np.random.default_rng(0)
    logits, interest = rng.normal(size=(5, 9)), rng.dirichlet(np.ones(3), 5)
    held = rng.random((9, 3)) < 0.5
    held[np.arange(9), np.arange(9) % 3] = True
    z = np.exp(logits) @ held
    by_hand = np.array(
        [
            [
                np.exp(logits[n, i]) * sum(interest[n, y] / z[n, y] for y in range(3) if held[i, y])
                for i in range(9)
            ]
            for n in range(5)
        ]
    )
    np.testing.assert_allclose(by_hand.sum(axis=1), 1)
    given = (logits.astype("f"), interest.astype("f"), held.astype("f"))
    found = np.asarray(items_through_interests(*given))
    np.testing.assert_allclose(np.exp(found), by_hand, rtol=1e-5)
    target = np.array([0, 8, 3, 4, 4])
    np.testing.assert_allclose(
        target_through_interests(*given, target), found[np.arange(5), target], rtol=1e-5
    )


def test_an_interest_without_items_leaves_its_share_to_the_others() -> None:
    held = np.array([[1, 0], [1, 0]], "f")
    found = np.exp(items_through_interests(np.zeros((1, 2), "f"), np.array([[0.4, 0.6]], "f"), held))
    np.testing.assert_allclose(found, [[0.5, 0.5]], rtol=1e-6)


def test_responsibility_by_hand() -> None:
    found = responsibility(np.log([2.0, 4.0]), np.array([0.5, 0.5]), np.array([[1, 1], [0, 1]]))
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3], [0, 1]])


def test_diversity_turns_to_interests_that_the_list_lacks() -> None:
    score, held = np.array([-1.0, -1.1, -2.0]), np.array([[1, 0], [1, 0], [0, 1]])
    everything = np.ones(3, bool)
    assert list(choose(score, held, everything, 3, diversity=0)) == [0, 1, 2]
    assert list(choose(score, held, everything, 3, diversity=0.9)) == [0, 2, 1]
    assert list(choose(score, held, np.array([False, True, True]), 3, diversity=0)) == [1, 2]


def test_seen_and_forbidden_items_are_left_out(constant_model: InterestMigrationModel) -> None:
    allowed = ["item 3", "item 4", "item 7"]
    found = constant_model.recommend(history=EVENTS, k=5, allowed=allowed)
    assert set(found["item"]) == {"item 4", "item 7"}
    assert found["probability"].is_monotonic_decreasing
    again = constant_model.recommend(history=EVENTS, k=5, allowed=allowed, policy=Policy(seen=True))
    assert set(again["item"]) == set(allowed)


def test_the_first_reason_is_the_event_whose_removal_costs_most(
    constant_model: InterestMigrationModel,
) -> None:
    history = random_histories(constant_model.catalogue, [6], seed=5)
    found = constant_model.recommend(history=history, k=3, reasons=6)
    whole = constant_model.score(history)[0]
    lacking = constant_model.score(without_each(history, np.arange(6)))
    for item, because in zip(found["item"], found["because"], strict=True):
        code = constant_model.catalogue.items.index(item)
        loss = whole[code] - lacking[:, code]
        names = [constant_model.catalogue.items[i] for i in history.item[np.argsort(-loss, kind="stable")]]
        assert because == tuple(names[: len(because)])
        assert len(because) == (loss > 0).sum()


def test_the_scenario_and_the_profile_of_the_request_matter(constant_model: InterestMigrationModel) -> None:
    def probabilities(**request: object) -> np.ndarray:
        found = constant_model.recommend(history=EVENTS, k=12, policy=Policy(seen=True), reasons=0, **request)
        return found.sort_values("item")["probability"].to_numpy()

    usual = probabilities(scenario="shop", profile={"group": "a"})
    assert np.abs(usual - probabilities(scenario="news", profile={"group": "a"})).max() > 1e-6
    assert np.abs(usual - probabilities(scenario="shop", profile={"group": "b"})).max() > 1e-6
    assert np.abs(usual - probabilities(scenario="shop", profile={"group": "a"}, at=90_000)).max() > 1e-6


def test_another_order_of_names_is_matched_by_name(constant_model: InterestMigrationModel) -> None:
    names = constant_model.catalogue
    history = random_histories(names, [4])
    turned = replace(names, items=names.items[::-1], item_interests=names.item_interests[::-1])
    same = in_catalogue(replace(history, catalogue=turned, item=11 - history.item), names)
    np.testing.assert_array_equal(same.item, history.item)
    assert same.catalogue is names


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"history": EVENTS, "k": 13}, ValueError, "k=13 is not between 1 and the 12 items"),
        ({"history": EVENTS, "k": 0}, ValueError, "k=0"),
        ({"history": EVENTS, "allowed": ["item 99"]}, UnknownNameError, "unknown item 'item 99'"),
        ({"history": EVENTS, "scenario": "radio"}, UnknownNameError, "unknown scenario 'radio'"),
        ({"history": EVENTS, "profile": {"group": "z"}}, UnknownNameError, "unknown group 'z'"),
        ({"history": EVENTS, "profile": {"age": "9"}}, UnknownNameError, "unknown feature 'age'"),
        ({"history": [Event("item 99", "shop", "view", 1)]}, UnknownNameError, "unknown item 'item 99'"),
        ({}, ValueError, "give a log, recommend"),
    ],
)
def test_wrong_requests(constant_model: InterestMigrationModel, wrong: dict, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        constant_model.recommend(**wrong)


def test_histories_of_another_catalogue_are_refused_by_score(constant_model: InterestMigrationModel) -> None:
    from imtlib.simulation.simulator import simulate

    log: BehaviourLog = simulate(users=4, events=4)[0]
    with pytest.raises(ModelFileError, match="catalogue of the histories is not that of the model"):
        constant_model.score(log.histories(log.users[0]))
    with pytest.raises(UnknownNameError, match="unknown item"):
        constant_model.recommend(log, user=log.users[0])


def test_a_policy_out_of_range() -> None:
    with pytest.raises(ValueError, match="diversity=2"):
        Policy(diversity=2)
    with pytest.raises(ValueError, match="must not be negative"):
        Policy(profile=-1)


def test_what_a_history_holds_already_is_not_taken_again() -> None:
    model = small_model("constant")
    row = random_histories(model.catalogue, [3])
    for extra in ({"scenario": "shop"}, {"at": 5}, {"profile": {"group": "a"}}):
        with pytest.raises(ValueError, match="hold their scenario, time and profile"):
            model.recommend(history=row, **extra)
    with pytest.raises(ValueError, match="give a log, recommend"):
        model.recommend()
    with pytest.raises(ValueError, match="give a log, recommend"):
        model.recommend(history=row, user="somebody")


def test_one_event_is_left_out_of_every_history() -> None:
    histories = random_histories(small_model("constant").catalogue, [3, 5, 4])
    for back in (1, 3):
        lacking = histories.without(back)
        for row in range(3):
            whole, left = (one.take([row]) for one in (histories, lacking))
            for name in ("item", "scenario", "behaviour", "time"):
                expected = np.delete(getattr(whole, name), len(whole.item) - back)
                np.testing.assert_array_equal(getattr(left, name), expected)
            assert left.request_time == whole.request_time
    for back in (0, 4):
        with pytest.raises(ValueError, match="not between 1 and 3"):
            histories.without(back)
