"""Fitting goes on where it stopped, to the same bit; files that do not fit are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from support.worlds import small_model
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from imtlib.baselines.sequential import SequenceBaseline
from imtlib.checkpoints import keep_pretrained, load_model, load_pretrained
from imtlib.config import Augmentation
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import ModelFileError
from imtlib.evaluation.ranking import evaluate
from imtlib.layers.backend import dataset
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.training import trainer
from imtlib.training.batches import TrainingBatches
from imtlib.training.trainer import fit


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(simulate(users=48, events=12)[0])


def new_model(split: Split) -> InterestMigrationModel:
    keras.utils.set_random_seed(1)
    return InterestMigrationModel.for_log(split.train, units=16, dropout=0.3)


class _Stops(keras.callbacks.Callback):
    """Ends a run in the middle of its third epoch, as a lost machine would."""

    epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.epoch == 2 and batch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "drawn", [{}, {"negatives": 8, "augmentation": Augmentation(leave_out=0.2, mask=0.2, reorder=0.3)}]
)
def test_interrupted_and_resumed_is_the_same_to_the_bit(
    split: Split, tmp_path: Path, drawn: dict[str, Any]
) -> None:
    options = {"epochs": 4, "batch": 16, "learning_rate": 0.01, "progress": False, **drawn}
    whole = new_model(split)
    history = fit(whole, split, **options)
    with pytest.raises(KeyboardInterrupt):
        fit(new_model(split), split, folder=tmp_path, callbacks=[_Stops()], **options)
    resumed = new_model(split)
    assert fit(resumed, split, folder=tmp_path, **options) == history
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ModelFileError, match="run with other seed"):
        fit(new_model(split), split, folder=tmp_path, seed=5, **options)


def test_the_whole_catalogue_is_scored_up_to_a_size_and_drawn_from_beyond(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    for whole in (160, 159):
        monkeypatch.setattr(trainer, "WHOLE", whole)
        monkeypatch.setattr(trainer, "DRAWN", 32)
        folder = tmp_path / str(whole)
        fit(new_model(split), split, epochs=1, folder=folder, progress=False)
        drawn[whole] = json.loads((folder / "run.json").read_text("utf8"))["settings"]["negatives"]
    assert len(split.train.catalogue.items) == 160
    assert drawn == {160: 0, 159: 32}


def test_every_epoch_keeps_how_long_it_took(split: Split, tmp_path: Path) -> None:
    options = {"batch": 16, "folder": tmp_path, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        fit(new_model(split), split, epochs=3, callbacks=[_Stops()], **options)
    before = json.loads((tmp_path / "run.json").read_text("utf8"))["seconds"]
    fit(new_model(split), split, epochs=3, **options)
    after = json.loads((tmp_path / "run.json").read_text("utf8"))["seconds"]
    assert len(before) == 2
    assert after[:2] == before
    assert len(after) == 3
    assert min(after) > 0


def test_no_epoch_waits_for_a_tuner(split: Split) -> None:
    # With one, the end of an epoch has been seen to wait for 40 seconds.
    data = dataset(TrainingBatches(split.train, 16, 8, 0), 3)
    assert data.options().autotune.enabled is False


def test_what_is_no_lesson_is_seen_and_never_asked_for(split: Split) -> None:
    log = split.train
    lessons = np.random.default_rng(0).random(len(log)) < 0.3
    lessons[log.starts[:-1]] = True  # a user without a lesson has no place in any batch
    whole, some = (list(TrainingBatches(log, 48, 64, 0, target_mask=chosen)) for chosen in (None, lessons))
    (inputs, target), (same, also) = whole[0], some[0]
    np.testing.assert_array_equal(target, also)  # who comes is told to the interest points all the same
    np.testing.assert_array_equal(inputs["item"], same["item"])
    assert (same["learnt"] & (also >= 0)).sum() == lessons.sum()
    for user in range(len(log.users)):
        asked = also[user, same["learnt"][user] & (also[user] >= 0)]
        own = slice(log.starts[user], log.starts[user + 1])
        np.testing.assert_array_equal(asked, log.item[own][lessons[own]])
    with pytest.raises(ValueError, match=r"target_mask has shape \(3,\)"):
        TrainingBatches(log, 48, 64, 0, target_mask=lessons[:3])


def test_a_batch_without_a_lesson_costs_nothing(split: Split) -> None:
    model = new_model(split)
    batch, target = next(iter(TrainingBatches(split.train, 8, 64, 0)))
    batch["learnt"] = np.zeros(target.shape, bool)
    assert float(model.compute_loss(batch, target, model(batch))) == 0.0


def test_callbacks_are_handed_the_figures_of_every_epoch(split: Split, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    history = fit(
        new_model(split), split, epochs=2, progress=False, callbacks=[keras.callbacks.CSVLogger(path)]
    )
    kept = pd.read_csv(path)
    assert list(kept) == ["epoch", "loss", "val_HR@10", "val_NDCG@10"]
    for column in list(kept)[1:]:
        np.testing.assert_allclose(kept[column], [row[column.removeprefix("val_")] for row in history])


def test_tensorboard_shows_the_figures_of_every_epoch(split: Split, tmp_path: Path) -> None:
    board = keras.callbacks.TensorBoard(tmp_path)
    history = fit(new_model(split), split, epochs=2, progress=False, callbacks=[board])
    for part, tag, figure in (("train", "epoch_loss", "loss"), ("validation", "epoch_NDCG@10", "NDCG@10")):
        kept = EventAccumulator(str(tmp_path / part))
        kept.Reload()
        shown = [float(tf.make_ndarray(one.tensor_proto)) for one in kept.Tensors(tag)]
        np.testing.assert_allclose(shown, [row[figure] for row in history], rtol=1e-6)


def test_the_last_epoch_or_the_best_is_kept(split: Split, tmp_path: Path) -> None:
    kept = {}
    for keep in ("best", "last"):
        model = new_model(split)
        # Too high a rate: the figures go up and down.
        history = fit(
            model, split, epochs=4, learning_rate=0.1, keep=keep, progress=False, folder=tmp_path / keep
        )
        kept[keep] = evaluate(model, split.valid)["NDCG@10"]
    figures = [row["NDCG@10"] for row in history]
    assert kept["last"] == pytest.approx(figures[-1])
    assert kept["best"] == pytest.approx(max(figures))
    assert max(figures) > figures[-1]
    with pytest.raises(ValueError, match="unknown keep 'first'"):
        fit(new_model(split), split, keep="first")


def test_windows_hold_each_next_item_once_and_nothing_else(split: Split) -> None:
    log = split.train
    batches = TrainingBatches(log, 8, 6, seed=0)
    for arrays, target in batches:
        position = np.arange(target.shape[1])
        assert (target[:, 1:][position[None, 1:] > arrays["length"][:, None]] == -1).all()
        for row, length in enumerate(arrays["length"]):
            np.testing.assert_array_equal(target[row, :length][1:], arrays["item"][row, 1:length])
            window = [*arrays["item"][row, :length], target[row, length]]
            lives = [log.item[a:b].tolist() for a, b in zip(log.starts[:-1], log.starts[1:], strict=True)]
            assert any(window == life[k : k + len(window)] for life in lives for k in range(len(life)))
    first = [target.tolist() for _, target in batches]
    assert [target.tolist() for _, target in batches] == first
    batches.epoch = 1
    assert [target.tolist() for _, target in batches] != first


def test_users_of_like_length_share_a_batch_or_any_do(split: Split) -> None:
    log = split.train.filter(split.train.item % (1 + split.train.user % 3) == 0)  # of many lengths
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


@pytest.mark.parametrize("name", ["epochs", "batch", "window_length", "max_validation_requests"])
def test_counts_below_one_are_refused(split: Split, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        fit(new_model(split), split, **{name: 0})


def test_every_position_that_is_scored_from_is_learnt(split: Split) -> None:
    longest = int(split.train.lengths.max())
    sasrec = SequenceBaseline.for_log(split.train, units=8, max_length=longest - 2)
    with pytest.raises(ValueError, match=f"window_length={longest - 1}"):
        fit(sasrec, split, epochs=1, window_length=longest - 2, progress=False)
    before = np.asarray(sasrec.encoder.position.embeddings).copy()
    fit(sasrec, split, epochs=1, window_length=longest - 1, weight_decay=0.0, keep="last", progress=False)
    assert (np.asarray(sasrec.encoder.position.embeddings) != before).any(axis=1).all()


def test_a_run_does_not_go_on_with_other_events(split: Split, tmp_path: Path) -> None:
    fit(new_model(split), split, epochs=1, folder=tmp_path, progress=False)
    fewer = replace(split, train=split.train.filter(split.train.user > 0))
    with pytest.raises(ModelFileError, match="a run with other events"):
        fit(new_model(split), fewer, epochs=1, folder=tmp_path, progress=False)


def test_a_model_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model at"):
        load_model(tmp_path / "none.keras")
    path = tmp_path / "model.keras"
    small_model("constant").save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ModelFileError, match="not a model that can be read"):
        load_model(path)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    with pytest.raises(ModelFileError, match="not an InterestMigrationModel"):
        load_model(path)


def test_a_model_of_another_format() -> None:
    config = small_model("constant").get_config() | {"format": 0}
    with pytest.raises(ModelFileError, match="format 0"):
        InterestMigrationModel.from_config(config)


def test_save_refuses_a_wrong_name_and_does_not_overwrite_unasked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.keras"):
        small_model("constant").save(tmp_path / "model.h5")
    (tmp_path / "model.keras").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        small_model("constant").save(tmp_path / "model.keras", overwrite=False)
    assert (tmp_path / "model.keras").read_text() == "mine"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"heads": 3}, "heads=3 does not divide units=16"),
        ({"heads": 3, "attention": "self"}, "heads=3 does not divide units=16"),
        ({"attention": "most"}, "unknown attention 'most'"),
        ({"cell": "rnn"}, "unknown cell 'rnn'"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
        ({"max_length": 5000}, "max_length=5000"),
    ],
)
def test_settings_that_make_no_model(split: Split, wrong: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        InterestMigrationModel.for_log(split.train, **{"units": 16, **wrong})


@pytest.mark.parametrize("through_interests", [True, False])
@pytest.mark.parametrize("negatives", [0, 8])
def test_the_loss_is_multiplied_in_the_models_precision_and_scores_are_not(
    split: Split, through_interests: bool, negatives: int
) -> None:
    example, target = next(iter(TrainingBatches(split.train, 8, 8, 0, negatives)))
    losses, scores = [], []
    for precision in ("float32", "bfloat16"):
        keras.utils.set_random_seed(0)
        model = InterestMigrationModel.for_log(
            split.train, units=16, precision=precision, through_interests=through_interests
        )
        losses.append(float(model.compute_loss(example, target, model(example))))
        scores.append(model.score(split.test.histories))
    full, low = losses
    assert 1e-7 < abs(low - full) / full < 1e-2
    np.testing.assert_array_equal(*scores)


def test_weights_come_back_for_their_own_catalogue_alone(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = new_model(split)
    keep_pretrained(model, "mine", tmp_path, {"seed": 1})
    card = (tmp_path / "mine.json").read_text()
    assert json.loads(card)["seed"] == 1
    assert not any(f'"{name}"' in card for name in model.catalogue.items)
    monkeypatch.setattr("imtlib.checkpoints.load_dataset", lambda _: split.train)
    back = load_pretrained("mine", folder=tmp_path)
    np.testing.assert_array_equal(back.score(split.test.histories), model.score(split.test.histories))
    other = simulate(users=48, events=12, world=3)[0]
    monkeypatch.setattr("imtlib.checkpoints.load_dataset", lambda _: other)
    with pytest.raises(ModelFileError, match="made for the catalogue"):
        load_pretrained("mine", folder=tmp_path)
    with pytest.raises(ModelFileError, match="no trained weights for 'yours'"):
        load_pretrained("yours", folder=tmp_path)
