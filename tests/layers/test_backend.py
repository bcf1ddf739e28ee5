"""What TensorFlow is asked for directly."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tensorflow as tf

from imtlib.layers.backend import compiled
from imtlib.types import Tensor


class Adds:
    """As a model, whose methods are made into graphs of their own."""

    def __init__(self, number: float) -> None:
        self.number = number
        self.graph = compiled(self.add)

    def add(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["item"] + self.number


def test_graphs_of_many_models_bring_no_warning_of_retracing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.get_logger(), "propagate", True)  # or the record does not reach the fixture
    batch = {"item": np.zeros((2, 3), np.float32)}
    with caplog.at_level(logging.WARNING):
        for number in range(12):
            assert np.asarray(Adds(number).graph(batch)).max() == number
    assert "retracing" not in caplog.text


def test_one_graph_serves_every_number_and_length_of_histories() -> None:
    made = []

    def length(batch: dict[str, Tensor]) -> Tensor:
        made.append(batch["item"].shape)
        return tf.shape(batch["item"])

    graph = compiled(length, {"item": np.zeros((1, 2), np.int32)})
    assert [tuple(np.asarray(graph({"item": np.zeros(size, np.int32)}))) for size in ((1, 2), (4, 7))] == [
        (1, 2),
        (4, 7),
    ]
    assert made == [(None, None)]
