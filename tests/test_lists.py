"""Lists for many: each the list of one, in one table, whoever else is asked about."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.worlds import random_histories

from imtlib.baselines.counting import Popularity, SmoothedTransitions
from imtlib.baselines.sequential import SequenceBaseline
from imtlib.data.log import BehaviourLog
from imtlib.data.queries import Event, history_of_events
from imtlib.errors import UnknownNameError
from imtlib.model import InterestMigrationModel
from imtlib.recommendation import Policy, choose


@pytest.fixture(scope="module")
def log_model(small_log: BehaviourLog) -> InterestMigrationModel:
    return InterestMigrationModel.for_log(small_log, units=8, heads=2)


def test_a_list_for_everybody_is_the_list_of_each(
    small_log: BehaviourLog, log_model: InterestMigrationModel
) -> None:
    policy = Policy(profile=0.5, expected=0.5, diversity=0.3)
    every = log_model.recommend(small_log, k=5, policy=policy, reasons=1)
    assert every["user"].tolist() == [user for user in small_log.users for _ in range(5)]
    assert every["rank"].tolist() == [1, 2, 3, 4, 5] * len(small_log.users)
    some = [small_log.users[row] for row in (7, 0, 31)]
    chosen = log_model.recommend(small_log, user=some, k=5, policy=policy, reasons=1)
    assert chosen["user"].tolist() == [user for user in some for _ in range(5)]
    for user in some:
        one = log_model.recommend(small_log, user=user, k=5, policy=policy, reasons=1)
        for table in (every, chosen):
            same = table[table["user"] == user].reset_index(drop=True)
            numbers = ["probability", "share"]
            pd.testing.assert_frame_equal(same.drop(columns=numbers), one.drop(columns=numbers))
            np.testing.assert_allclose(same[numbers], one[numbers], rtol=1e-4)


def test_nobody_is_given_what_another_has_done(
    small_log: BehaviourLog, log_model: InterestMigrationModel
) -> None:
    """Reasons are events of the user's own, and nothing that the user has met is listed."""
    table = log_model.recommend(small_log, k=10, reasons=2)
    for user, rows in table.groupby("user"):
        own = set(small_log.events_of(user)["item"])
        assert not own & set(rows["item"])
        assert {item for because in rows["because"] for item in because} <= own


def test_histories_of_n_rows_give_n_lists(constant_model: InterestMigrationModel) -> None:
    histories = random_histories(constant_model.catalogue, [3, 0, 9, 1])
    table = constant_model.recommend(history=histories, k=3)
    assert table["request"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert table["because"].map(len).sum() == 0  # by default reasons are for a single request
    best = np.array(constant_model.score(histories))
    best[histories.owner, histories.item] = -np.inf
    expected = np.argsort(-best, axis=1, kind="stable")[:, :3]
    assert table["item"].tolist() == [constant_model.catalogue.items[i] for i in expected.ravel()]
    none = constant_model.recommend(history=histories.take(slice(0, 0)))
    assert (list(none.columns), len(none)) == (list(table.columns), 0)


def test_baselines_make_lists_too(small_log: BehaviourLog) -> None:
    for baseline in (
        Popularity(small_log),
        SmoothedTransitions(small_log),
        SequenceBaseline.for_log(small_log, encoder="gru", units=8),
    ):
        table = baseline.recommend(small_log, k=2)
        assert len(table) == 2 * len(small_log.users)
        score = np.array(baseline.score(small_log.histories()))
        score[small_log.user, small_log.item] = -np.inf
        first = [small_log.catalogue.items[i] for i in score.argmax(axis=1)]
        assert table[table["rank"] == 1]["item"].tolist() == first
        assert table["interest"].isna().all()
    because = SmoothedTransitions(small_log).recommend(small_log, user=small_log.users[0], k=1)["because"][0]
    assert set(because) <= set(small_log.events_of(small_log.users[0])["item"])
    with pytest.raises(ValueError, match="predicts no interest points"):
        Popularity(small_log).recommend(small_log, policy=Policy(expected=1))


def test_items_may_be_excluded(constant_model: InterestMigrationModel) -> None:
    past = [Event("item 3", "shop", "view", 10)]
    table = constant_model.recommend(history=past, k=12, exclude=["item 1", "item 2"])
    assert set(table["item"]) == {f"item {i}" for i in range(12)} - {"item 1", "item 2", "item 3"}
    with pytest.raises(TypeError, match=r"exclude='item 1' is a text: give a list"):
        constant_model.recommend(history=past, exclude="item 1")


def test_what_the_model_does_not_know_is_refused_or_skipped_and_counted(
    constant_model: InterestMigrationModel,
) -> None:
    past = [Event("item 3", "shop", "view", 10), Event("new thing", "shop", "view", 20)]
    with pytest.raises(UnknownNameError, match="unknown item 'new thing'"):
        constant_model.recommend(history=past)
    with pytest.warns(UserWarning, match="1 events of the history .* skipped"):
        table = constant_model.recommend(history=past, k=3, unknown="skip")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = constant_model.recommend(history=past[:1], k=3, unknown="skip")
    pd.testing.assert_frame_equal(table, same)
    for wish in ({"allowed": ["item 1", "gone"]}, {"exclude": ["gone"]}):
        with pytest.raises(UnknownNameError, match="unknown item 'gone'"):
            constant_model.recommend(history=[], **wish)
        with pytest.warns(UserWarning, match=f"1 items of {next(iter(wish))} .* skipped"):
            constant_model.recommend(history=[], unknown="skip", **wish)
    with pytest.raises(ValueError, match="unknown='drop' is neither"):
        constant_model.recommend(history=[], allowed=["gone"], unknown="drop")
    with pytest.raises(ValueError, match="unknown='drop' is neither"):
        constant_model.recommend(history=random_histories(constant_model.catalogue, [2]), unknown="drop")


def test_new_items_in_a_log_are_skipped_event_by_event(
    small_log: BehaviourLog, log_model: InterestMigrationModel
) -> None:
    names = small_log.catalogue
    renamed = replace(names, items=("brand new", *names.items[1:]))
    later = replace(small_log, catalogue=renamed)
    with pytest.raises(UnknownNameError, match=r"'brand new'.*unknown='skip'"):
        log_model.recommend(later)
    with pytest.warns(UserWarning, match=rf"{(small_log.item == 0).sum()} of {len(small_log):,} events"):
        table = log_model.recommend(later, k=3, unknown="skip")
    expected = log_model.recommend(history=small_log.histories().filter(small_log.item != 0), k=3)
    assert table["item"].tolist() == expected["item"].tolist()


@pytest.mark.parametrize("at", ["1970-01-02", pd.Timestamp("1970-01-02"), 86_400, 86_400.5])
def test_a_moment_may_be_written_in_every_way(constant_model: InterestMigrationModel, at: object) -> None:
    past = [Event("item 3", "shop", "view", 10)]
    assert history_of_events(constant_model.catalogue, past, at=at).request_time.tolist() == [86_400]
    table = constant_model.recommend(history=past, k=3, at=at)
    pd.testing.assert_frame_equal(table, constant_model.recommend(history=past, k=3, at=86_400))


def test_what_is_no_log_and_no_history_is_refused(constant_model: InterestMigrationModel) -> None:
    with pytest.raises(TypeError, match="a tuple is no log"):
        constant_model.recommend((1, 2), user="u")
    with pytest.raises(TypeError, match=r"a list of imtlib\.Event"):
        constant_model.recommend(history=["item 3"])  # type: ignore[list-item]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([0, 0.2, 0.5, 0.9, 1]), st.booleans())
def test_only_items_within_reach_need_be_looked_at(seed: int, k: int, diversity: float, ties: bool) -> None:
    """`choose` looks at a part of the catalogue, and picks what the whole would give."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 3, 30).round(0 if ties else 9)
    held = rng.random((30, 4)) < 0.4
    held[np.arange(30), np.arange(30) % 4] = True
    allowed = rng.random(30) < 0.7
    left, taken, by_hand = allowed.copy(), np.zeros(4), []
    for _ in range(min(k, int(allowed.sum()))):
        share = held @ taken / held.sum(axis=1)
        penalised = np.where(left, score + np.log(np.maximum(1 - diversity * share, 1e-6)), -np.inf)
        by_hand.append(penalised.max())
        best = choose(score, held, allowed, k, diversity)[len(by_hand) - 1]
        assert left[best]
        assert penalised[best] == pytest.approx(by_hand[-1])
        left[best] = False
        taken = np.maximum(taken, held[best])
    assert len(choose(score, held, allowed, k, diversity)) == len(by_hand)


def test_a_request_in_an_unknown_scenario_is_made_where_the_last_known_event_was(
    small_log: BehaviourLog, log_model: InterestMigrationModel
) -> None:
    names = small_log.catalogue
    later = replace(small_log, catalogue=replace(names, scenarios=("kiosk", *names.scenarios[1:])))
    with pytest.raises(UnknownNameError, match="unknown scenario 'kiosk'"):
        log_model.recommend(later)
    with pytest.warns(UserWarning, match=r"(events|scenarios of requests) have a name"):
        table = log_model.recommend(later, k=3, unknown="skip")
    assert table["user"].nunique() == len(small_log.users)
    kept = small_log.histories().filter(small_log.scenario != 0)
    last = np.where(kept.lengths > 0, np.append(kept.scenario, 0)[np.maximum(kept.starts[1:] - 1, 0)], 1)
    asked = np.where(kept.request_scenario == 0, last, kept.request_scenario).astype(np.int32)
    expected = log_model.recommend(history=replace(kept, request_scenario=asked), k=3)
    assert table["item"].tolist() == expected["item"].tolist()


def test_somebody_without_an_item_that_may_be_shown_is_told_of(
    small_log: BehaviourLog, log_model: InterestMigrationModel
) -> None:
    first = small_log.catalogue.items[small_log.item[0]]
    with pytest.warns(UserWarning, match="of 48 requests have no item that may be shown"):
        table = log_model.recommend(small_log, allowed=[first])
    assert small_log.users[0] not in set(table["user"])


def test_a_log_of_other_scenarios_alone_is_refused_by_name(
    small_log: BehaviourLog, log_model: InterestMigrationModel
) -> None:
    names = small_log.catalogue
    others = replace(names, scenarios=tuple(f"other {name}" for name in names.scenarios))
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(UnknownNameError, match="unknown scenario 'other "),
    ):
        log_model.recommend(replace(small_log, catalogue=others), unknown="skip")
