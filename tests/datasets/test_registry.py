"""Data sets by name, whether the name is given or stands in the card of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imtlib import checkpoints
from imtlib.datasets.registry import load_dataset
from imtlib.errors import UnknownNameError
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        UnknownNameError, match=r"'movielens'.*movielens-1m, movielens-100k, simulated-small.*read_log"
    ):
        load_dataset("movielens")


def test_the_simulated_log_comes_by_name() -> None:
    log = load_dataset("simulated-small")
    assert len(log) > 10_000
    assert len(log.catalogue.scenarios) > 1


def test_a_card_may_name_the_data_set_of_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = simulate(20, 40, 4, ("shop", "video"), events=8)[0]
    model = InterestMigrationModel.for_log(log, units=8)
    checkpoints.keep_pretrained(model, "mine-seed7", tmp_path, {"dataset": "mine"})
    asked: list[str] = []
    monkeypatch.setattr(checkpoints, "load_dataset", lambda name: asked.append(name) or log)
    back = checkpoints.load_pretrained("mine-seed7", folder=tmp_path)
    assert asked == ["mine"]
    for found, kept in zip(back.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, kept)
