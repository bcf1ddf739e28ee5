"""What the model itself promises, beside the properties of `test_properties.py`."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from support.worlds import random_histories, small_catalogue, small_model

from imtlib.config import ModelConfig
from imtlib.data.catalogue import Catalogue
from imtlib.data.inputs import inputs
from imtlib.data.log import BehaviourLog
from imtlib.errors import ModelFileError
from imtlib.model import InterestMigrationModel


def test_a_configuration_and_settings_by_name_are_one(catalogue: Catalogue) -> None:
    config = ModelConfig(units=8, heads=2)
    model = InterestMigrationModel(catalogue, config=config, sharing="gate")
    assert model.config == ModelConfig(units=8, heads=2, sharing="gate")
    assert InterestMigrationModel.from_config(model.get_config()).config == model.config
    with pytest.raises(ValueError, match="unknown attention 'most'"):
        InterestMigrationModel(catalogue, config=config, attention="most")
    with pytest.raises(TypeError, match="unit"):
        InterestMigrationModel(catalogue, unit=8)


@pytest.mark.parametrize("through_interests", [True, False])
def test_the_loss_is_multiplied_in_the_models_precision_and_scores_are_not(through_interests: bool) -> None:
    names, chosen = small_catalogue(), {"units": 16, "through_interests": through_interests}
    batch = inputs(random_histories(names, [7, 4, 7]), 8)
    target = np.concatenate([batch["item"], batch["item"][:, :1]], axis=1)
    drawn = {"negatives": np.arange(8, dtype=np.int32), "log_expected": np.full(8, -0.5, np.float32)}
    models = []
    for precision in ("float32", "bfloat16"):
        keras.utils.set_random_seed(0)
        models.append(InterestMigrationModel(names, precision=precision, **chosen))
    outputs = models[0](batch)
    for given in (batch, {**batch, **drawn}):
        full, low = (float(model.compute_loss(given, target, outputs)) for model in models)
        assert 1e-7 < abs(low - full) / full < 1e-2
    query, interest = outputs["query"][:, 4], outputs["next_interest"][:, 4]
    np.testing.assert_array_equal(*(model.item_scores(query, interest)["log_p"] for model in models))


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


def test_vectors_by_name_make_the_logits(small_log: BehaviourLog) -> None:
    model = InterestMigrationModel.for_log(small_log, units=8, heads=2, through_interests=False)
    users, items = model.user_vectors(small_log), model.item_vectors()
    assert tuple(users.index) == small_log.users
    assert tuple(items.index) == small_log.catalogue.items
    logits = users.to_numpy() @ items.to_numpy().T
    top = logits.max(axis=1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(log_p, model.score(small_log.histories()), atol=1e-5)
    some = model.user_vectors(small_log, small_log.users[3:5])
    np.testing.assert_allclose(some, users.iloc[3:5], atol=1e-6)


def test_what_keras_offers_and_cannot_do_says_what_can(
    constant_model: InterestMigrationModel, tmp_path: Path
) -> None:
    with pytest.raises(NotImplementedError, match=r"imtlib\.evaluate\(model, split\.test\)"):
        constant_model.evaluate(None)
    with pytest.raises(NotImplementedError, match="load_model"):
        constant_model.export(str(tmp_path / "exported"))
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere to save m\.keras in"):
        constant_model.save(tmp_path / "nowhere" / "m.keras")
