"""What the model itself promises, beside the properties of `test_properties.py`."""

from __future__ import annotations

import logging

import pytest
import tensorflow as tf

import imtlib as imt


def test_many_models_bring_no_warning_of_retracing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.get_logger(), "propagate", True)  # or the record does not reach the fixture
    log = imt.simulate(20, 20, 3, events=5)[0]
    histories = imt.leave_one_out(log).test.histories
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            model = imt.InterestMigrationModel.for_log(log, units=4)
            model.score(histories)
            session = imt.Session(model)
            session.score(session.start())
    assert "retracing" not in caplog.text
