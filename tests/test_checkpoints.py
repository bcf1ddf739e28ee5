"""Models come back as they were saved; files that cannot be read are refused."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from support.worlds import small_model

from imtlib.checkpoints import keep_pretrained, load_model, load_pretrained
from imtlib.data.histories import nobody
from imtlib.data.inputs import inputs
from imtlib.data.log import BehaviourLog
from imtlib.errors import ModelFileError
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate


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


@pytest.fixture(scope="module")
def log() -> BehaviourLog:
    return simulate(users=20, events=8)[0]


@pytest.fixture(scope="module")
def model_of_log(log: BehaviourLog) -> InterestMigrationModel:
    return InterestMigrationModel.for_log(log, units=8, dropout=0.3)


def test_weights_come_back_for_their_own_catalogue_alone(
    log: BehaviourLog,
    model_of_log: InterestMigrationModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep_pretrained(model_of_log, "mine", tmp_path, {"seed": 1})
    card = (tmp_path / "mine.json").read_text()
    assert json.loads(card)["seed"] == 1
    assert not any(f'"{name}"' in card for name in log.catalogue.items)
    asked = []
    monkeypatch.setattr("imtlib.checkpoints.load_dataset", lambda name: asked.append(name) or log)
    batch = inputs(nobody(log.catalogue), 200)
    for given in (None, log):
        back = load_pretrained("mine", given, tmp_path)
        assert back.config == model_of_log.config
        np.testing.assert_array_equal(back(batch)["query"], model_of_log(batch)["query"])
        for one, other in zip(back.weights, model_of_log.weights, strict=True):
            np.testing.assert_array_equal(one, other)
    assert asked == ["mine"]  # the log at hand spares the other
    other = simulate(users=20, events=8, world=3)[0]
    with pytest.raises(ModelFileError, match=r"made for the catalogue .* give that of 'mine'"):
        load_pretrained("mine", other, tmp_path)
    monkeypatch.setattr("imtlib.checkpoints.load_dataset", lambda _: other)
    with pytest.raises(ModelFileError, match=r"made for the catalogue .* fetch it again"):
        load_pretrained("mine", folder=tmp_path)
    with pytest.raises(ModelFileError, match="no trained weights for 'yours'"):
        load_pretrained("yours", folder=tmp_path)
