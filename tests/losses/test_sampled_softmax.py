"""The sampled likelihood: right on average, near the whole with many draws, and enough to learn from."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from imtlib.baselines.sequential import SequenceBaseline
from imtlib.data.splits import Split, leave_one_out
from imtlib.evaluation.ranking import evaluate
from imtlib.losses.chunked_softmax import total_log_p
from imtlib.losses.sampled_softmax import sampled_log_p
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.training.batches import TrainingBatches
from imtlib.training.trainer import fit

ROWS, ITEMS, KINDS, WIDTH = 5, 30, 4, 6


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(simulate(users=200, items=60, interests=4, events=14, seed=5)[0])


def parts(seed: int = 0) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    held = rng.random((ITEMS, KINDS)) < 0.3
    held[np.arange(ITEMS), np.arange(ITEMS) % KINDS] = True
    return {
        "query": tf.constant(rng.normal(size=(ROWS, WIDTH)).astype("f")),
        "interest": tf.nn.softmax(tf.constant(rng.normal(size=(ROWS, KINDS)).astype("f"))),
        "embeddings": tf.constant(rng.normal(size=(ITEMS, WIDTH)).astype("f")),
        "bias": tf.constant(rng.normal(size=ITEMS).astype("f")),
        "item_interests": tf.constant(held.astype("f")),
        "target": tf.constant(rng.integers(0, ITEMS, ROWS), tf.int32),
    }


def drawn(many: int, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    chance = np.arange(1, ITEMS + 1) / (ITEMS * (ITEMS + 1) / 2)
    items = np.random.default_rng(seed).choice(ITEMS, many, p=chance)
    return tf.constant(items, tf.int32), tf.constant(np.log(many * chance[items]), tf.float32)


def test_z_is_right_on_average() -> None:
    """With a single interest, p(target) is e^l / Z: so the mean of 1 / p tells the mean of Z."""
    given = parts()
    given["interest"], given["item_interests"] = tf.ones((ROWS, 1)), tf.ones((ITEMS, 1))
    given = {
        name: value[:1] if name in ("query", "interest", "target") else value for name, value in given.items()
    }
    draws = [tf.stack(parts) for parts in zip(*(drawn(8, k) for k in range(4000)), strict=True)]

    @tf.function
    def of_each(items: tf.Tensor, log_expected: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda one: sampled_log_p(**given, negatives=one[0], log_expected=one[1]),
            (items, log_expected),
            fn_output_signature=tf.float32,
        )

    inverse = np.exp(-of_each(*draws))
    true = np.exp(-total_log_p(*given.values()))
    assert np.mean(inverse) == pytest.approx(true, rel=4 * np.std(inverse) / np.sqrt(4000) / true)
    assert np.std(inverse) / np.sqrt(4000) < 0.05 * true


def test_many_draws_come_near_the_whole_in_value_and_gradient() -> None:
    given = parts()
    names = ("query", "interest", "embeddings", "bias")
    items, log_expected = drawn(200_000, 0)

    def sampled(**given: tf.Tensor) -> tf.Tensor:
        return sampled_log_p(**given, negatives=items, log_expected=log_expected)

    results = []
    for likelihood in (sampled, lambda **given: total_log_p(*given.values())):
        with tf.GradientTape() as tape:
            tape.watch([given[name] for name in names])
            value = likelihood(**given)
        results.append((value, tape.gradient(value, [given[name] for name in names])))
    (value, gradient), (true, reference) = results
    assert float(value) == pytest.approx(float(true), rel=0.01)
    for name, one, other in zip(names, gradient, reference, strict=True):
        one = tf.convert_to_tensor(one)
        assert np.abs(one - other).max() < 0.03 * np.abs(other).max() + 0.01, name


def test_without_the_correction_popular_items_would_count_too_much() -> None:
    given = parts()
    items, log_expected = drawn(200_000, 0)
    even = tf.fill(items.shape, tf.math.log(200_000 / ITEMS))
    right, wrong = (
        float(sampled_log_p(**given, negatives=items, log_expected=q)) for q in (log_expected, even)
    )
    true = float(total_log_p(*given.values()))
    assert abs(right - true) < 0.1 * abs(wrong - true)


def test_extreme_logits_stay_finite() -> None:
    given = parts()
    given["query"] = given["query"] * 200
    with tf.GradientTape() as tape:
        tape.watch(given["query"])
        value = sampled_log_p(**given, negatives=drawn(16, 0)[0], log_expected=drawn(16, 0)[1])
    assert np.isfinite(value)
    assert np.isfinite(tape.gradient(value, given["query"])).all()


def test_batches_hold_draws_that_depend_on_seed_and_epoch_alone(split: Split) -> None:
    def draws(seed: int, epoch: int) -> np.ndarray:
        batches = TrainingBatches(split.train, 32, 16, seed, negatives=20)
        batches.epoch = epoch
        return np.concatenate([arrays["negatives"] for arrays, _ in batches])

    np.testing.assert_array_equal(draws(0, 1), draws(0, 1))
    assert (draws(0, 1) != draws(0, 2)).any()
    assert (draws(0, 1) != draws(1, 1)).any()
    arrays, _ = next(iter(TrainingBatches(split.train, 32, 16, 0, negatives=20)))
    count = np.bincount(split.train.item, minlength=60) / len(split.train)
    expected = np.log(20 * (0.5 * count + 0.5 / 60))[arrays["negatives"]]
    np.testing.assert_allclose(arrays["log_expected"], expected, rtol=1e-6)
    assert "negatives" not in next(iter(TrainingBatches(split.train, 32, 16, 0)))[0]


@pytest.mark.parametrize("kind", ["through interests", "direct", "baseline"])
def test_a_large_sample_has_nearly_the_loss_of_the_whole(kind: str, split: Split) -> None:
    if kind == "baseline":
        model = SequenceBaseline.for_log(split.train, encoder="gru", units=16, layers=1)
    else:
        model = InterestMigrationModel.for_log(split.train, units=16, through_interests=kind != "direct")
    batch, target = next(iter(TrainingBatches(split.train, 32, 16, 0, negatives=20_000)))
    whole = {name: values for name, values in batch.items() if name not in ("negatives", "log_expected")}
    outputs = model(whole)
    sample, all_items = (float(model.compute_loss(x, target, outputs)) for x in (batch, whole))
    assert sample == pytest.approx(all_items, rel=0.01)
    assert sample != all_items


def test_a_sample_is_enough_to_learn_from(split: Split) -> None:
    keras.utils.set_random_seed(0)
    # Without attention, whose scan takes long to trace, and about which nothing is asked here.
    model = InterestMigrationModel.for_log(split.train, units=16, dropout=0.0, attention="none")
    fit(model, split, epochs=4, batch=16, learning_rate=0.01, negatives=24, progress=False)
    chance = np.log(60 - 12)
    assert evaluate(model, split.test)["log loss"] < chance - 0.15
