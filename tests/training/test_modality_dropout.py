"""Hidden modalities: a share of each, never all of an item, and the same ones in a run that is resumed."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imtlib.data.item_features import describe
from imtlib.data.splits import Split
from imtlib.errors import ModelFileError
from imtlib.model import InterestMigrationModel
from imtlib.training.modality_dropout import hidden_at_random
from imtlib.training.trainer import fit


@given(st.integers(1, 40), st.integers(1, 5), st.floats(0, 0.95), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_hiding_leaves_every_item_something(items: int, many: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    present = rng.random((items, many)) < 0.7
    kept = hidden_at_random(present, share, rng)
    assert not (kept & ~present).any()
    np.testing.assert_array_equal(kept.any(axis=1), present.any(axis=1))
    if share == 0:
        np.testing.assert_array_equal(kept, present)


def test_the_share_that_is_hidden() -> None:
    kept = hidden_at_random(np.ones((5000, 4), bool), 0.3, np.random.default_rng(0))
    assert 1 - kept.mean() == pytest.approx(0.3, abs=0.01)


class _Stops(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.model.optimizer.iterations == 4:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("eagerly")
def test_hidden_and_resumed_is_the_same_to_the_bit(small_split: Split, tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(len(small_split.train.catalogue.items), 5))
    told = describe(small_split.train, vectors={"image": image})

    small = {"units": 8, "dropout": 0.3, "attention": "none", "through_interests": False}

    def new_model() -> InterestMigrationModel:
        keras.utils.set_random_seed(1)
        return InterestMigrationModel.for_log(small_split.train, told, **small)

    options = {
        "epochs": 2,
        "batch": 16,
        "learning_rate": 0.01,
        "max_validation_requests": 9,
        "progress": False,
    }
    whole = new_model()
    history = fit(whole, small_split, modality_dropout=0.4, **options)
    stopped = new_model()
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, small_split, modality_dropout=0.4, folder=tmp_path, callbacks=[_Stops()], **options)
    for model in (whole, stopped):
        np.testing.assert_array_equal(model.fused.shown, told.present)
    resumed = new_model()
    assert fit(resumed, small_split, modality_dropout=0.4, folder=tmp_path, **options) == history
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ModelFileError, match="run with other modality_dropout"):
        fit(new_model(), small_split, folder=tmp_path, **options)
    told = describe(small_split.train, vectors={"image": -image})
    with pytest.raises(ModelFileError, match="run with other modalities"):
        fit(new_model(), small_split, modality_dropout=0.4, folder=tmp_path, **options)


def test_hiding_needs_something_to_hide(small_split: Split) -> None:
    model = InterestMigrationModel.for_log(small_split.train, units=16)
    with pytest.raises(ValueError, match=r"modality_dropout=0\.3 has nothing to hide"):
        fit(model, small_split, modality_dropout=0.3)
    with pytest.raises(ValueError, match="modality_dropout=1 must be from 0 to below 1"):
        fit(model, small_split, modality_dropout=1)
