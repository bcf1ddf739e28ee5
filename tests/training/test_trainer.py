"""Fitting goes on where it stopped, to the same bit; what cannot be fitted is refused, unchanged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType, SimpleNamespace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from imtlib.baselines.counting import Popularity
from imtlib.baselines.sequential import SequenceBaseline
from imtlib.config import Augmentation, TrainingConfig
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import ModelFileError
from imtlib.evaluation.ranking import evaluate
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.training import trainer
from imtlib.training.trainer import fit, warm_cosine

# Too high a rate: the figures go up and down.
OPTIONS: dict[str, Any] = {"epochs": 4, "batch": 16, "learning_rate": 0.1, "keep": "last", "progress": False}


@pytest.fixture(scope="module")
def split(small_split: Split) -> Split:
    return small_split


def toy(split: Split, **settings: Any) -> SequenceBaseline:
    """The model whose training graph is made soonest."""
    keras.utils.set_random_seed(1)
    return SequenceBaseline.for_log(split.train, encoder="gru", units=8, layers=1, **settings)


@dataclass
class Run:
    """A toy that was fitted, and what its run left behind."""

    model: SequenceBaseline
    history: list[dict[str, float]]
    folder: Path
    places: Path

    @property
    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "run.json").read_text("utf8"))


@pytest.fixture(scope="module")
def run(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder, places = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("places")
    watch = [keras.callbacks.CSVLogger(places / "log.csv"), keras.callbacks.TensorBoard(places)]
    model = toy(split)
    return Run(model, fit(model, split, folder=folder, callbacks=watch, **OPTIONS), folder, places)


def same_weights(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(mine, theirs) for mine, theirs in pairs)


class _Stops(keras.callbacks.Callback):
    """Ends a run in the middle of its third epoch, as a lost machine would."""

    epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.epoch == 2 and batch == 1:
            raise KeyboardInterrupt


def test_interrupted_and_resumed_is_the_same_to_the_bit(split: Split, run: Run, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(toy(split), split, folder=tmp_path, callbacks=[_Stops()], **OPTIONS)
    seconds = json.loads((tmp_path / "run.json").read_text("utf8"))["seconds"]
    assert len(seconds) == 2
    resumed = toy(split)
    assert fit(resumed, split, folder=tmp_path, **OPTIONS) == run.history
    assert same_weights(resumed, run.model)
    after = json.loads((tmp_path / "run.json").read_text("utf8"))["seconds"]
    assert after[:2] == seconds
    assert len(after) == 4
    assert min(after) > 0


def test_dropout_augmentation_and_negatives_go_on_to_the_same_bit(split: Split, tmp_path: Path) -> None:
    change = Augmentation(leave_out=0.2, mask=0.2, reorder=0.3)
    options = {"epochs": 2, "batch": 24, "negatives": 8, "augmentation": change, "progress": False}

    def new_model() -> InterestMigrationModel:
        keras.utils.set_random_seed(1)
        return InterestMigrationModel.for_log(
            split.train, units=8, dropout=0.3, attention="none", through_interests=False
        )

    def keep_first(epoch: int, logs: object) -> None:
        if epoch == 0:
            shutil.copytree(tmp_path / "whole", tmp_path / "parts")

    watch = keras.callbacks.LambdaCallback(on_epoch_end=keep_first)
    whole, resumed = new_model(), new_model()
    history = fit(whole, split, folder=tmp_path / "whole", callbacks=[watch], **options)
    assert fit(resumed, split, folder=tmp_path / "parts", **options) == history
    assert same_weights(whole, resumed)


def test_a_run_that_is_done_is_only_loaded(split: Split, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    again = toy(split)
    monkeypatch.setattr(again, "fit", None)
    assert fit(again, split, folder=run.folder, **OPTIONS) == run.history
    assert same_weights(again, run.model)


def test_patience_ends_a_run(split: Split, run: Run, tmp_path: Path) -> None:
    figures = [row["NDCG@10"] for row in run.history]
    stop = next(k for k in range(1, 4) if max(figures[: k + 1]) > figures[k])  # the first that is no better
    history = fit(toy(split), split, patience=1, **OPTIONS)
    assert history == run.history[: stop + 1]


def other(value: Any, hint: Any) -> Any:
    """Another value that a field may have."""
    if NoneType in get_args(hint):
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return next(choice for choice in get_args(hint) if choice != value)
    if hint is Augmentation:
        return Augmentation(mask=0.1)
    if hint is bool:
        return not value
    return 3 if value is None else value + (1 if get_args(hint)[0] is int else 0.1)


@pytest.mark.parametrize("name", get_type_hints(TrainingConfig))
def test_a_run_goes_on_with_all_that_it_began_with(split: Split, run: Run, name: str) -> None:
    began = OPTIONS | {"seed": 0}
    value = began.get(name, getattr(TrainingConfig(), name))
    changed = {name: other(value, get_type_hints(TrainingConfig, include_extras=True)[name])}
    model = toy(split)
    if name == "modality_dropout":  # it needs something to hide
        model.fused = SimpleNamespace(present=np.ones((160, 1)), fingerprint=str)  # type: ignore[assignment]
    with pytest.raises(ModelFileError, match=f"run with other {name}"):
        fit(model, split, folder=run.folder, **(OPTIONS | changed))
    assert not model.compiled


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("events", lambda split: replace(split, train=split.train.filter(split.train.user > 0))),
        ("split", lambda split: replace(split, hash="another")),
    ],
)
def test_a_run_does_not_go_on_with_another_split(
    split: Split, run: Run, what: str, change: Callable[[Split], Split]
) -> None:
    with pytest.raises(ModelFileError, match=f"a run with other {what}"):
        fit(toy(split), change(split), folder=run.folder, **OPTIONS)


def test_a_run_does_not_go_on_with_another_mask_or_model(split: Split, run: Run) -> None:
    mask = np.arange(len(split.train)) > 0
    with pytest.raises(ModelFileError, match="a run with other target_mask"):
        fit(toy(split), split, folder=run.folder, target_mask=mask, **OPTIONS)
    with pytest.raises(ModelFileError, match="a run with other dropout"):
        fit(toy(split, dropout=0.5), split, folder=run.folder, **OPTIONS)
    frozen = toy(split)
    frozen.item.trainable = False
    with pytest.raises(ModelFileError, match="a run with other weights"):
        fit(frozen, split, folder=run.folder, **OPTIONS)


def test_callbacks_are_handed_the_figures_of_every_epoch(run: Run) -> None:
    kept = pd.read_csv(run.places / "log.csv")
    assert list(kept) == ["epoch", "loss", "val_HR@10", "val_NDCG@10"]
    for column in map(str, kept.columns[1:]):
        np.testing.assert_allclose(kept[column], [row[column.removeprefix("val_")] for row in run.history])
    for part, tag, figure in (("train", "epoch_loss", "loss"), ("validation", "epoch_NDCG@10", "NDCG@10")):
        board = EventAccumulator(str(run.places / part))
        board.Reload()
        shown = [float(tf.make_ndarray(one.tensor_proto)) for one in board.Tensors(tag)]
        np.testing.assert_allclose(shown, [row[figure] for row in run.history], rtol=1e-6)


def test_the_last_epoch_or_the_best_is_kept(split: Split, run: Run) -> None:
    figures = [row["NDCG@10"] for row in run.history]
    assert evaluate(run.model, split.valid)["NDCG@10"] == pytest.approx(figures[-1])
    best = toy(split)
    assert fit(best, split, **(OPTIONS | {"keep": "best"})) == run.history
    assert evaluate(best, split.valid)["NDCG@10"] == pytest.approx(max(figures))
    assert max(figures) > figures[-1]


def test_the_folder_holds_the_last_and_the_best_epoch(run: Run) -> None:
    figures = [row["NDCG@10"] for row in run.history]
    kept = {1 + figures.index(max(figures)), len(figures)}
    files = {f"epoch-{epoch}.{part}.npz" for epoch in kept for part in ("weights", "optimizer")}
    assert {path.name for path in run.folder.iterdir()} == {"run.json", *files}


def test_the_whole_catalogue_is_scored_up_to_a_size_and_drawn_from_beyond(
    split: Split, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.record["settings"]["negatives"] == 0
    monkeypatch.setattr(trainer, "WHOLE", 160)
    assert len(split.train.catalogue.items) == 160
    fit(toy(split), split, folder=run.folder, **OPTIONS)  # goes on as it began
    monkeypatch.setattr(trainer, "WHOLE", 159)
    monkeypatch.setattr(trainer, "DRAWN", 32)
    fit(toy(split), split, folder=tmp_path, **(OPTIONS | {"epochs": 1}))
    assert json.loads((tmp_path / "run.json").read_text("utf8"))["settings"]["negatives"] == 32


def test_every_position_that_is_scored_from_is_learnt(split: Split) -> None:
    longest = int(split.train.lengths.max())
    sasrec = SequenceBaseline.for_log(split.train, units=8, layers=1, max_length=longest - 2)
    options = {"epochs": 1, "weight_decay": 0.0, "keep": "last", "progress": False}
    with pytest.raises(ValueError, match=f"window_length={longest - 1}"):
        fit(sasrec, split, window_length=longest - 2, **options)
    before = np.asarray(sasrec.encoder.position.embeddings).copy()
    fit(sasrec, split, window_length=longest - 1, **options)
    assert (np.asarray(sasrec.encoder.position.embeddings) != before).any(axis=1).all()


def test_a_lost_loss_ends_the_run(split: Split) -> None:
    with pytest.raises(FloatingPointError, match=r"at step \d of epoch 1: lower the learning rate"):
        fit(toy(split), split, **(OPTIONS | {"learning_rate": 1e38}))


def nobody_asked(split: Split) -> Split:
    return replace(split, valid=split.valid.take(np.zeros(0, np.int64)))


def nothing_to_learn(split: Split) -> Split:
    return replace(split, train=split.train.filter(np.zeros(len(split.train), bool)))


@pytest.mark.parametrize(
    ("change", "options", "error", "says"),
    [
        (lambda split: split.train, {}, TypeError, "BehaviourLog is no split: give leave_one_out"),
        (nobody_asked, {}, ValueError, "valid part is empty"),
        (nothing_to_learn, {}, ValueError, "train or valid part is empty"),
        (None, {"target_mask": np.ones(3, bool)}, ValueError, r"target_mask has shape \(3,\)"),
        (None, {"modality_dropout": 0.3}, ValueError, r"modality_dropout=0\.3 has nothing to hide"),
        (None, {"epochs": 0}, ValueError, "epochs=0 must be at least 1"),
        (None, {"keep": "first"}, ValueError, "unknown keep 'first'"),
        (None, {"epoch": 3}, TypeError, "epoch"),
        (None, {"batch": 2.5}, TypeError, "batch=2.5 is a float, and must be a whole number"),
    ],
)
def test_what_is_refused_changes_nothing(
    split: Split, change: Any, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    model = toy(split)
    with pytest.raises(error, match=says):
        fit(model, change(split) if change else split, progress=False, **options)
    assert not model.compiled
    assert same_weights(model, toy(split))


def test_a_mask_must_leave_something_to_predict(split: Split) -> None:
    with pytest.raises(ValueError, match="target_mask leaves no event"):
        fit(toy(split), split, target_mask=np.zeros(len(split.train), bool))


def test_what_is_no_model_of_the_split_is_refused(split: Split) -> None:
    with pytest.raises(TypeError, match="a Popularity cannot be fitted"):
        fit(Popularity(split.train), split)
    with pytest.raises(TypeError, match="a Sequential cannot be fitted"):
        fit(keras.Sequential([keras.layers.Dense(1)]), split)
    model = toy(leave_one_out(simulate(users=10, events=8, world=1)[0]))
    with pytest.raises(ModelFileError, match="the catalogue of the split is not that of the model"):
        fit(model, split)
    assert not model.compiled


def test_the_rate_rises_for_an_epoch_and_falls_along_a_cosine() -> None:
    rate = warm_cosine(0.5, steps=10, epochs=3)
    found = np.array([float(rate(step)) for step in range(31)])
    assert found[0] == pytest.approx(0.05)
    np.testing.assert_allclose(np.diff(found[:11]), 0.045, rtol=1e-4)
    np.testing.assert_allclose(
        found[10:], 0.25 * (1 + np.cos(np.pi * np.arange(21) / 20)), rtol=1e-5, atol=1e-7
    )
    assert float(warm_cosine(0.5, steps=1, epochs=1)(0)) == pytest.approx(0.5)
