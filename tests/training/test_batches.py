"""Training batches: each next item of a window once, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from imtlib.data.log import BehaviourLog
from imtlib.layers.backend import dataset
from imtlib.model import InterestMigrationModel
from imtlib.training.batches import TrainingBatches


@pytest.fixture
def log(small_log: BehaviourLog) -> BehaviourLog:
    return small_log


def test_windows_hold_each_next_item_once_and_nothing_else(log: BehaviourLog) -> None:
    batches = TrainingBatches(log, 8, 6, seed=0)
    lives = [log.item[a:b].tolist() for a, b in zip(log.starts[:-1], log.starts[1:], strict=True)]
    for arrays, target in batches:
        position = np.arange(target.shape[1])
        assert (target[:, 1:][position[None, 1:] > arrays["length"][:, None]] == -1).all()
        for row, length in enumerate(arrays["length"]):
            np.testing.assert_array_equal(target[row, :length][1:], arrays["item"][row, 1:length])
            window = [*arrays["item"][row, :length], target[row, length]]
            assert any(window == life[k : k + len(window)] for life in lives for k in range(len(life)))
    first = [target.tolist() for _, target in batches]
    assert [target.tolist() for _, target in batches] == first
    batches.epoch = 1
    assert [target.tolist() for _, target in batches] != first


def test_what_is_no_target_is_seen_and_never_asked_for(log: BehaviourLog) -> None:
    mask = np.random.default_rng(0).random(len(log)) < 0.3
    mask[log.starts[:-1]] = True  # a user without a target has no place in any batch
    whole, some = (list(TrainingBatches(log, 48, 64, 0, target_mask=chosen)) for chosen in (None, mask))
    (inputs, target), (same, also) = whole[0], some[0]
    np.testing.assert_array_equal(target, also)  # the interest points learn who comes all the same
    np.testing.assert_array_equal(inputs["item"], same["item"])
    assert (same["learnt"] & (also >= 0)).sum() == mask.sum()
    for user in range(len(log.users)):
        asked = also[user, same["learnt"][user] & (also[user] >= 0)]
        own = slice(log.starts[user], log.starts[user + 1])
        np.testing.assert_array_equal(asked, log.item[own][mask[own]])
    with pytest.raises(ValueError, match=r"target_mask has shape \(3,\)"):
        TrainingBatches(log, 48, 64, 0, target_mask=mask[:3])


def test_a_batch_without_a_target_costs_nothing(log: BehaviourLog) -> None:
    model = InterestMigrationModel.for_log(log, units=16, dropout=0.3)
    batch, target = next(iter(TrainingBatches(log, 8, 64, 0)))
    batch["learnt"] = np.zeros(target.shape, bool)
    assert float(model.compute_loss(batch, target, model(batch))) == 0.0


def test_users_of_like_length_share_a_batch_or_any_do(log: BehaviourLog) -> None:
    log = log.filter(log.item % (1 + log.user % 3) == 0)  # of many lengths
    spread, seen = {}, {}
    for like in (True, False):
        batches = list(TrainingBatches(log, 4, 1000, 0, bucket_by_length=like))
        lengths = [arrays["length"] for arrays, _ in batches]
        seen[like] = np.sort(np.concatenate(lengths))
        spread[like] = np.mean([np.ptp(length) for length in lengths])
    events = log.lengths
    np.testing.assert_array_equal(seen[True] + 1, np.sort(events[events > 0]))
    np.testing.assert_array_equal(seen[True], seen[False])
    assert spread[True] < 0.25 * spread[False]


def test_as_a_data_set_they_are_the_same_and_no_epoch_waits_for_a_tuner(log: BehaviourLog) -> None:
    batches = TrainingBatches(log, 16, 8, 0)
    data = dataset(batches, len(batches))
    # With a tuner, the end of an epoch has been seen to wait for 40 seconds.
    assert data.options().autotune.enabled is False
    assert len(data) == len(batches)
    for (arrays, target), (given, asked) in zip(batches, data, strict=True):
        np.testing.assert_array_equal(target, asked)
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, given[name])
