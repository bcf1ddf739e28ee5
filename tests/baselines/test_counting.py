"""Baselines against counts by hand, and against their published floors on MovieLens-1M."""

import numpy as np
import pandas as pd
import pytest

from imtlib.baselines.counting import Popularity, RecentPopularity, SmoothedTransitions, Transitions
from imtlib.data.histories import Histories
from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.data.splits import Split
from imtlib.errors import LogError, ModelFileError
from imtlib.evaluation.ranking import evaluate
from imtlib.simulation.simulator import simulate


def log_of(lives: dict[str, str]) -> BehaviourLog:
    """A log of users whose events are the letters of a word, with items a, b, c …"""
    rows = [(user, item, time) for user, word in lives.items() for time, item in enumerate(word)]
    items = pd.DataFrame({"item": sorted({item for _, item, _ in rows})})
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    return read_log(frame, items=items, scenario=None, behaviour=None, interests=None)


def whole(log: BehaviourLog) -> Histories:
    """Every event as a request, with all before it as history."""
    return log.histories_before(np.arange(len(log)))


def test_popularity_counts_events() -> None:
    log = log_of({"u": "aab", "v": "ca"})
    score = Popularity(log).score(whole(log))
    np.testing.assert_allclose(np.exp(score), np.tile([4 / 8, 2 / 8, 2 / 8], (5, 1)), rtol=1e-6)


def test_recent_popularity_counts_the_days_before_the_request() -> None:
    day = 86_400
    rows = [("u", "a", 0), ("u", "b", 5 * day), ("v", "b", 6 * day), ("v", "c", 6 * day), ("w", "a", 7 * day)]
    items = pd.DataFrame({"item": ["a", "b", "c"]})
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    log = read_log(frame, items=items, scenario=None, behaviour=None, interests=None)
    p = np.exp(RecentPopularity(log, days=2, smoothing=1.0).score(whole(log)).astype(float))
    share = np.array([3, 3, 2]) / 8
    since = {  # of the events in [t − 2 days, t): none, none, one, one, three
        ("u", 0): [0, 0, 0],
        ("u", 5): [0, 0, 0],
        ("v", 6): [0, 1, 0],
        ("w", 7): [0, 2, 1],
    }
    for row, (user, t) in enumerate(zip(np.array(log.users)[log.user], log.time // day, strict=True)):
        count = np.array(since[user, t])
        np.testing.assert_allclose(p[row], (count + share) / (count.sum() + 1), rtol=1e-6)
    late = Histories(  # type: ignore[call-arg]
        log.catalogue,
        np.array([0, 0]),
        *(np.zeros(0, np.int32) for _ in range(3)),
        np.zeros(0, np.int64),
        np.zeros(1, np.int32),
        np.array([100 * day]),
        np.zeros((1, 0), np.float32),
    )
    p = np.exp(RecentPopularity(log, days=2, smoothing=1.0).score(late).astype(float))
    np.testing.assert_allclose(p[0], (np.array([1, 1, 1]) + share) / 4, rtol=1e-6)  # the log's last two days
    for wrong in ({"days": 0}, {"smoothing": 0}):
        with pytest.raises(ValueError, match="must be positive"):
            RecentPopularity(log, **wrong)


def test_transitions_count_what_follows_within_a_user() -> None:
    log = log_of({"u": "abab", "v": "ac"})  # a→b twice, a→c once, b→a once; nothing follows c
    p = np.exp(Transitions(log, smoothing=2.0).score(whole(log)))
    share = np.array([4, 3, 2]) / 9
    after = {
        "": share,
        "a": (np.array([0, 2, 1]) + 2 * share) / 5,
        "b": (np.array([1, 0, 0]) + 2 * share) / 3,
    }
    for row, last in enumerate(["", "a", "b", "a", "", "a"]):
        np.testing.assert_allclose(p[row], after[last], rtol=1e-6)
    nothing = log_of({"u": "ab", "v": "bc"})
    after_c = nothing.histories_before(np.array([1])).take(np.array([0]))
    last_is_c = np.exp(Transitions(nothing).score(after_c))
    assert last_is_c.sum() == pytest.approx(1, abs=1e-6)


def test_smoothed_transitions_average_the_last_items() -> None:
    log, decay = log_of({"u": "abcabdcab", "v": "bdcba"}), 0.5
    histories = whole(log)
    single = {  # the answer to each item alone, from the one-step chain
        item: np.exp(Transitions(log).score(histories)[row].astype(float))
        for row, item in zip(range(1, 9), log.item[:8], strict=True)
    }
    p = np.exp(SmoothedTransitions(log, last=3, decay=decay).score(histories))
    for row in range(len(histories)):
        events = histories.item[histories.starts[row] : histories.starts[row + 1]][::-1][:3]
        weights = decay ** np.arange(len(events))
        if len(events):
            expected = sum(w * single[i] for w, i in zip(weights, events, strict=True)) / weights.sum()
            np.testing.assert_allclose(p[row], expected, rtol=1e-5)


def test_last_of_one_is_the_chain_and_every_row_is_a_distribution() -> None:
    log, _ = simulate(users=40, seed=1)
    histories = whole(log)
    chain = Transitions(log).score(histories)
    np.testing.assert_allclose(SmoothedTransitions(log, last=1).score(histories), chain, rtol=1e-6)
    for model in (Popularity(log), Transitions(log), SmoothedTransitions(log)):
        score = model.score(histories)
        assert score.dtype == np.float32
        assert score.shape == (len(log), 160)
        np.testing.assert_allclose(np.exp(score.astype(float)).sum(axis=1), 1, atol=1e-4)
        assert model.score(histories.take(slice(0, 0))).shape == (0, 160)


def test_refuses_bad_input() -> None:
    log, other = log_of({"u": "abc"}), log_of({"u": "abcd"})
    empty = log.filter(np.zeros(3, bool))
    for baseline in (Popularity, Transitions, SmoothedTransitions):
        with pytest.raises(LogError, match="nothing to count"):
            baseline(empty)
        with pytest.raises(ModelFileError, match="Make the baseline for this log"):
            baseline(log).score(whole(other))
    with pytest.raises(ValueError, match="smoothing=0"):
        Transitions(log, smoothing=0)
    with pytest.raises(ValueError, match="last=0"):
        SmoothedTransitions(log, last=0)


@pytest.mark.parametrize(
    ("baseline", "hit", "gain"),
    [
        (Popularity, 0.0369, 0.0180),
        (Transitions, 0.2144, 0.1259),
        (SmoothedTransitions, 0.2419, 0.1382),
    ],
)
def test_reaches_its_floor_on_movielens(
    movielens_split: Split, baseline: type, hit: float, gain: float
) -> None:
    split = movielens_split
    report = evaluate(baseline(split.train), split.test)
    assert len(report.rank) == 6040
    assert report["HR@10"] == pytest.approx(hit, abs=0.0015)
    assert report["NDCG@10"] == pytest.approx(gain, abs=0.0015)
