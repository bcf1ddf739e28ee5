"""Augmented windows: what is left out is gone, targets stay true, and nothing is given away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from imtlib.baselines.sequential import SequenceBaseline
from imtlib.config import Augmentation
from imtlib.data.inputs import HIDDEN, Arrays
from imtlib.data.log import BehaviourLog
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.training.augmentation import LENGTH
from imtlib.training.batches import TrainingBatches
from imtlib.types import Tensor


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


def test_masks_hide_items_and_no_targets(log: BehaviourLog) -> None:
    hidden, real = 0, 0
    for (arrays, target), (plain, same) in zip(
        epoch(log, Augmentation(mask=0.3)), epoch(log, None), strict=True
    ):
        np.testing.assert_array_equal(target, same)
        place = np.arange(arrays["item"].shape[1]) < arrays["length"][:, None]
        masked = arrays["item"] == HIDDEN
        np.testing.assert_array_equal(arrays["item"], np.where(masked, HIDDEN, plain["item"]))
        assert not masked[~place].any()
        hidden += masked.sum()
        real += place.sum()
    assert 0.25 < hidden / real < 0.35


def test_a_hidden_item_is_of_unknown_interest(log: BehaviourLog) -> None:
    model = InterestMigrationModel.for_log(log, units=8, heads=2)
    (arrays, _), *_ = epoch(log, None)
    shown = ops.convert_to_numpy(model(arrays)["belief"])[:, :, :-1]
    arrays["item"][:, 1] = HIDDEN
    hidden = ops.convert_to_numpy(model(arrays)["belief"])[:, :, :-1]
    np.testing.assert_array_equal(hidden[:, 1], shown[:, 1])
    assert (shown[:, 2] == 0).any()
    # Nothing of it is known, so no interest is ruled out.
    assert (hidden[:, 2] > 0).all()


def test_masks_change_no_other_draw(log: BehaviourLog) -> None:
    before = Augmentation(leave_out=0.2, substitute=0.2, reorder=0.5)
    for (arrays, target), (plain, same) in zip(
        epoch(log, replace(before, mask=0.5)), epoch(log, before), strict=True
    ):
        np.testing.assert_array_equal(target, same)
        shown = arrays["item"] != HIDDEN
        np.testing.assert_array_equal(arrays["item"][shown], plain["item"][shown])


@pytest.mark.parametrize(
    "make",
    [
        lambda log: InterestMigrationModel.for_log(log, units=8, heads=2, successors=True),
        lambda log: SequenceBaseline.for_log(log, units=8, given_interests=True),
    ],
    ids=["migration", "sasrec"],
)
def test_of_a_hidden_item_nothing_is_read(
    log: BehaviourLog, make: Callable[[BehaviourLog], InterestMigrationModel | SequenceBaseline]
) -> None:
    model = make(log)
    (arrays, _), *_ = epoch(log, None)
    arrays["item"] = np.where(arrays["item"] == 0, HIDDEN, arrays["item"])
    assert (arrays["item"] == HIDDEN).any()
    table = model.embedding.item if isinstance(model, InterestMigrationModel) else model.item
    before = ops.convert_to_numpy(_states(model, arrays))
    first = np.arange(len(log.catalogue.items))[:, None] == 0
    # The first of the catalogue is another now, and a hidden item is not the first.
    table.embeddings.assign_add(5.0 * first * np.ones(8))
    np.testing.assert_array_equal(before, _states(model, arrays))


def _states(model: InterestMigrationModel | SequenceBaseline, arrays: Arrays) -> Tensor:
    outputs = model({name: ops.convert_to_tensor(value) for name, value in arrays.items()})
    return outputs["belief"] if isinstance(outputs, dict) else outputs


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
                # Whatever may be learnt from is predicted from exactly the events before it.
                assert sorted(now[:position]) == sorted(then[:position])
            assert asked.sum() >= (target[row] >= 0).sum() - LENGTH + 1
        np.testing.assert_array_equal(target, same)  # what comes is known, also where it is no target
    assert moved > 40


def test_what_is_no_target_counts_for_nothing_but_the_interests_to_come(log: BehaviourLog) -> None:
    arrays, target = epoch(log, Augmentation(reorder=1.0))[0]
    model = InterestMigrationModel.for_log(log, units=8, heads=2, attention="state", dropout=0.0)
    outputs = model(arrays)
    loss = model.compute_loss(arrays, target, outputs)
    # Another item at a position that is no target changes the interests to come before it alone.
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
    with pytest.raises(ValueError, match=r"substitute=1\.5 must be from 0 to 1"):
        Augmentation(substitute=1.5)
    with pytest.raises(ValueError, match=r"leave_out=1\.0 must be from 0 to below 1"):
        Augmentation(leave_out=1.0)
