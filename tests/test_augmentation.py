"""Augmented windows: what is left out is gone, targets stay true, and nothing is given away."""

from __future__ import annotations

import numpy as np
import pytest

from imtlib.augmentation import LENGTH, Augmentation
from imtlib.batching import TrainingBatches
from imtlib.log import BehaviourLog
from imtlib.model import InterestMigrationModel
from imtlib.sequence_baselines import SequenceBaseline
from imtlib.simulation import simulate


@pytest.fixture(scope="module")
def log() -> BehaviourLog:
    return simulate(users=60, items=60, interests=4, events=30, seed=2)[0]


def epoch(log: BehaviourLog, change: Augmentation | None, number: int = 0) -> list:
    batches = TrainingBatches(log, 16, 12, seed=0, augmentation=change)
    batches.epoch = number
    return list(batches)


def test_nothing_asked_changes_nothing(log: BehaviourLog) -> None:
    for (one, y), (other, z) in zip(epoch(log, None), epoch(log, None), strict=True):
        np.testing.assert_array_equal(y, z)
        assert all((one[name] == other[name]).all() for name in one)


def test_seed_and_epoch_alone_decide(log: BehaviourLog) -> None:
    change = Augmentation(leave_out=0.2, substitute=0.2, reorder=0.5)
    first, again, later = epoch(log, change), epoch(log, change), epoch(log, change, 1)
    assert all((a["item"] == b["item"]).all() for (a, _), (b, _) in zip(first, again, strict=True))
    assert any(
        a["item"].shape != b["item"].shape or (a["item"] != b["item"]).any()
        for (a, _), (b, _) in zip(first, later, strict=True)
    )


def test_left_out_events_leave_a_subsequence_and_its_own_targets(log: BehaviourLog) -> None:
    lives = [log.item[a:b].tolist() for a, b in zip(log.starts[:-1], log.starts[1:], strict=True)]
    shorter = 0
    for arrays, target in epoch(log, Augmentation(leave_out=0.4)):
        for row, length in enumerate(arrays["length"]):
            np.testing.assert_array_equal(target[row, 1:length], arrays["item"][row, 1:length])
            window = [*arrays["item"][row, :length], target[row, length]]
            assert any(_within(window, life) for life in lives)
            assert (target[row, length + 1 :] == -1).all()
            shorter += length < 11
    assert shorter > 30


def _within(some: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(item in rest for item in some)


def test_substitutes_stand_in_the_history_and_not_among_the_targets(log: BehaviourLog) -> None:
    changed, real = 0, 0
    for (arrays, target), (plain, same) in zip(
        epoch(log, Augmentation(substitute=0.3)), epoch(log, None), strict=True
    ):
        np.testing.assert_array_equal(arrays["length"], plain["length"])
        np.testing.assert_array_equal(target, same)
        place = np.arange(arrays["item"].shape[1]) < arrays["length"][:, None]
        changed += (arrays["item"] != plain["item"])[place].sum()
        real += place.sum()
        assert (arrays["item"][~place] == 0).all()
    # A substitute is now and then the item itself.
    assert 0.22 < changed / real < 0.36


def test_a_reordered_run_is_never_asked_about(log: BehaviourLog) -> None:
    moved = 0
    for (arrays, target), (plain, same) in zip(
        epoch(log, Augmentation(reorder=1.0)), epoch(log, None), strict=True
    ):
        for row, length in enumerate(plain["length"]):
            now, then = arrays["item"][row, :length], plain["item"][row, :length]
            assert sorted(now) == sorted(then)
            differ = np.flatnonzero(now != then)
            moved += len(differ) > 0
            if len(differ):
                assert differ[-1] - differ[0] < LENGTH
            asked = (target[row] >= 0) & arrays["learnt"][row]
            for position in np.flatnonzero(asked):
                # Whatever may be learnt from was foretold from exactly the events before it.
                assert sorted(now[:position]) == sorted(then[:position])
            assert asked.sum() >= (target[row] >= 0).sum() - LENGTH + 1
        np.testing.assert_array_equal(target, same)  # what comes is known, also where it is no lesson
    assert moved > 40


def test_what_is_no_lesson_counts_for_nothing_but_the_interests_to_come(log: BehaviourLog) -> None:
    arrays, target = epoch(log, Augmentation(reorder=1.0))[0]
    model = InterestMigrationModel.for_log(log, units=8, heads=2, attention="state", dropout=0.0)
    outputs = model(arrays)
    loss = model.compute_loss(arrays, target, outputs)
    # Another item at a position that is no lesson changes the interests to come of lessons before it alone.
    row, position = np.argwhere(~arrays["learnt"] & (target >= 0))[0]
    other = target.copy()
    other[row, position] = (target[row, position] + 1) % len(log.catalogue.items)
    plain = SequenceBaseline.for_log(log, units=8, encoder="gru")
    states = plain(arrays)
    assert float(plain.compute_loss(arrays, other, states)) == float(
        plain.compute_loss(arrays, target, states)
    )
    everything = {**arrays, "learnt": np.ones_like(arrays["learnt"])}
    assert float(model.compute_loss(everything, target, outputs)) != pytest.approx(float(loss), rel=1e-4)


def test_shares_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"substitute=1\.5 is a share"):
        Augmentation(substitute=1.5)
    with pytest.raises(ValueError, match="leave nothing"):
        Augmentation(leave_out=1.0)
