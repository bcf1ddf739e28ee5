"""The simulator: the log obeys the laws it is handed back with, the controls control, the file is the log."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from imtlib.baselines.counting import Popularity, SmoothedTransitions
from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.data.splits import leave_one_out
from imtlib.datasets.simulated import small, write_tables
from imtlib.errors import LogError, ModelFileError
from imtlib.evaluation.ranking import Report, Scorer, evaluate
from imtlib.simulation.bayes_predictor import BestPredictor
from imtlib.simulation.simulator import shuffle_events, simulate
from imtlib.simulation.truth import Truth

COMMITTED = Path(__file__).parents[2] / "data" / "simulated-small"
SimulatedLog = tuple[BehaviourLog, Truth]


@pytest.fixture(scope="module")
def large() -> SimulatedLog:
    """100,000 events, with everything turned on."""
    return simulate(users=2800, migration=0.6, seed=11)


def within(log: BehaviourLog) -> np.ndarray:
    """Rows of the events that are not the first of their user."""
    return np.setdiff1d(np.arange(len(log)), log.starts[:-1])


def test_the_seed_decides_everything_and_the_world_only_the_laws() -> None:
    (log, truth), (again, same) = simulate(users=50, seed=5), simulate(users=50, seed=5)
    assert log.to_frame().equals(again.to_frame())
    for name in ("interest", "cause", "persona", "matrix"):
        np.testing.assert_array_equal(getattr(truth, name), getattr(same, name))
    fresh, law = simulate(users=50, seed=6)
    assert not log.to_frame().equals(fresh.to_frame())
    np.testing.assert_array_equal(law.matrix, truth.matrix)
    assert fresh.catalogue.fingerprint == log.catalogue.fingerprint
    assert not np.allclose(simulate(users=5, world=1)[1].matrix, truth.matrix)


def test_a_log_is_well_formed(large: SimulatedLog) -> None:
    log, truth = large
    length = log.lengths
    assert (length.min(), length.max()) == (18, 54)
    later = within(log)
    assert (np.diff(log.time)[later - 1] > 0).all()
    pairs = log.user.astype(np.int64) * len(log.catalogue.items) + log.item
    assert len(np.unique(pairs)) == len(log), "an item came twice to a user"
    assert log.catalogue.item_interests[log.item, truth.interest].all()
    held = log.catalogue.item_interests.sum(axis=1)
    assert set(held) == {1, 2, 3}
    assert list(log.user_features.index) == list(log.users)


def test_causes_are_triggers_at_the_right_distance(large: SimulatedLog) -> None:
    log, truth = large
    caused = np.flatnonzero(truth.cause >= 0)
    cause = truth.cause[caused]
    assert 0.15 < len(caused) / len(log) < 0.5
    np.testing.assert_array_equal(log.user[cause], log.user[caused])
    np.testing.assert_array_equal(truth.effect[log.item[cause]], truth.interest[caused])
    lag = np.bincount(caused - cause, minlength=7)
    assert lag[:2].sum() == 0
    assert lag[2:7] / lag.sum() == pytest.approx([0.125, 0.25, 0.25, 0.25, 0.125], abs=0.03)
    effect = truth.effect
    assert not truth.catalogue.item_interests[effect >= 0, effect[effect >= 0]].any()


def test_visible_parts_follow_their_laws(large: SimulatedLog) -> None:
    log, truth = large
    later = within(log)
    assert (log.scenario[later] == log.scenario[later - 1]).mean() == pytest.approx(0.7, abs=0.01)
    gap = log.time[later] - log.time[later - 1]
    assert (gap > 3600).mean() == pytest.approx(0.15, abs=0.01)
    persona = truth.persona[log.user]
    for m in range(3):
        for k in range(8):
            here = (persona == m) & (truth.interest == k)
            share = np.bincount(log.behaviour[here], minlength=3) / here.sum()
            assert share == pytest.approx(truth.behaviour[m, k], abs=4 * np.sqrt(0.25 / here.sum()))
    group = log.user_features["group"].to_numpy() == np.array(["g1", "g2", "g3"])[truth.persona]
    assert group.mean() == pytest.approx(0.8, abs=0.03)  # 0.7, and a third of the rest by chance


def test_mean_transition_is_what_happened(large: SimulatedLog) -> None:
    log, truth = large
    later = within(log)
    for current in (None, "video", "shop"):
        mean = truth.mean_transition(log, "shop", current)
        rows = later[log.scenario[later] == 0]
        if current is not None:
            rows = rows[log.scenario[rows - 1] == log.catalogue.scenarios.index(current)]
            assert np.isnan(mean[-1]).all()
        for y in range(8):
            came = truth.interest[rows[truth.interest[rows - 1] == y]]
            share = np.bincount(came, minlength=8) / len(came)
            error = np.sqrt(mean[y] * (1 - mean[y]) / len(came))
            assert (np.abs(share - mean[y]) < 4.5 * error).all()
            assert mean[y].sum() == pytest.approx(1)
    start = truth.mean_transition(log, "shop")[-1]
    assert start.sum() == pytest.approx(1)
    with pytest.raises(LogError, match="whole log"):
        truth.mean_transition(simulate(users=3)[0], "shop")


def test_a_truth_refuses_the_log_of_another() -> None:
    log, truth = simulate(users=20)
    assert truth.contexts(log)[0].shape == (len(log), 8)
    with pytest.raises(LogError, match="lacks the interest that it was drawn from"):
        truth.contexts(shuffle_events(log))
    dealt = dataclasses.replace(log.catalogue, item_interests=log.catalogue.item_interests[::-1])
    with pytest.raises(ModelFileError, match=r"interests of .+ items"):
        truth.contexts(dataclasses.replace(log, catalogue=dealt))


def test_controls_turn_things_off() -> None:
    log, truth = simulate(users=300, trigger=0.0)
    assert (truth.cause == -1).all()
    log, truth = simulate(users=300, trigger=0.0, personas=1, migration=0.0, seed=2)
    moved = truth.mean_transition(log, "shop", "video")[:-1]
    assert np.ptp(moved, axis=0).max() < 1e-6, "without migration the last interest says nothing elsewhere"
    stayed = truth.mean_transition(log, "shop", "shop")[:-1]
    assert np.ptp(stayed, axis=0).max() > 0.3
    same = simulate(users=3, specific=0.0)[1].matrix
    np.testing.assert_allclose(same, np.broadcast_to(same[:1], same.shape))
    one, _ = simulate(users=20, scenarios=("all",))
    assert (one.scenario == 0).all()


def test_shuffling_keeps_all_but_the_order() -> None:
    log, _ = simulate(users=300, trigger=0.0)
    mixed = shuffle_events(log, seed=1)
    np.testing.assert_array_equal(mixed.time, log.time)
    for user in ("u001", "u300"):
        what = ["item", "scenario", "behaviour"]
        rows = [sorted(map(tuple, which.events_of(user)[what].to_numpy())) for which in (log, mixed)]
        assert rows[0] == rows[1]
    assert not np.array_equal(mixed.item, log.item)
    np.testing.assert_array_equal(shuffle_events(log, seed=1).item, mixed.item)
    # In a shuffled life an event tells no more of the next than of that six events on: only of the persona.
    first = log.catalogue.item_interests.argmax(axis=1)

    def told(which: BehaviourLog, apart: int) -> float:
        """Mutual information of the items' first interests, in nats."""
        rows = np.arange(apart, len(which))
        rows = rows[which.user[rows] == which.user[rows - apart]]
        joint = np.zeros((8, 8))
        np.add.at(joint, (first[which.item[rows - apart]], first[which.item[rows]]), 1 / len(rows))
        return float((joint * np.log(joint / np.outer(joint.sum(axis=1), joint.sum(axis=0)))).sum())

    assert abs(told(mixed, 1) - told(mixed, 6)) < 0.004
    assert told(log, 1) - told(log, 6) > 0.02


def test_bad_arguments_are_named() -> None:
    for wrong, match in (
        ({"users": 0}, "users=0"),
        ({"interests": 1}, "interests=1"),
        ({"lag": 2}, "lag=2"),
        ({"trigger": 1.0}, "trigger=1.0"),
        ({"migration": -0.1}, "migration=-0.1"),
        ({"scenarios": ("a", "a")}, "different names"),
        ({"scenarios": "shop"}, "different names"),
        ({"items": 50}, "items=50 is too few"),
    ):
        with pytest.raises(ValueError, match=match):
            simulate(**wrong)


def test_the_committed_tables_are_written_anew_to_the_byte(tmp_path: Path) -> None:
    log, _ = small()
    write_tables(log, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["events.csv", "items.csv", "users.csv"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (COMMITTED / name).read_bytes()
    assert sum((COMMITTED / name).stat().st_size for name in names) < 1_600_000


def test_the_committed_tables_are_read_back_as_the_log() -> None:
    log, _ = small()
    tables = {name: COMMITTED / f"{name}.csv" for name in ("items", "users")}
    read = read_log(COMMITTED / "events.csv", **tables, user_features=["group"])
    assert read.to_frame().equals(log.to_frame())
    assert read.catalogue.items == log.catalogue.items
    assert read.catalogue.interests == log.catalogue.interests
    np.testing.assert_array_equal(read.catalogue.item_interests, log.catalogue.item_interests)
    assert read.user_features.equals(log.user_features)
    assert read.catalogue.user_features == log.catalogue.user_features


def test_there_is_something_to_learn_and_each_part_of_it_counts() -> None:
    log, truth = small()
    train = leave_one_out(log).train
    fresh = leave_one_out(simulate(users=3000, seed=9)[0]).test
    blind = dataclasses.replace(truth, trigger=0.0)
    rows = [np.nanmean(truth.mean_transition(log, name)[:-1], axis=0) for name in log.catalogue.scenarios]
    flat = np.repeat(np.stack(rows)[:, None], 9, axis=1)

    def report(model: Scorer) -> Report:
        return evaluate(model, fresh)

    best, no_triggers = report(BestPredictor(truth)), report(BestPredictor(blind))
    no_order = report(BestPredictor(dataclasses.replace(blind, matrix=flat)))
    smoothed, popular = report(SmoothedTransitions(train)), report(Popularity(train))
    for metric, sign, least in (
        ("NDCG@10", 1, (0.03, 0.04, 0.08, 0.08)),
        ("log loss", -1, (0.3, 0.1, 0.5, 0.5)),
    ):
        top, no_cause, no_sequence, counted, floor = (
            sign * which[metric] for which in (best, no_triggers, no_order, smoothed, popular)
        )
        gains = np.array([top - no_cause, no_cause - no_sequence, top - counted, top - floor])
        assert (gains > least).all(), (metric, gains)
