"""A small world for tests of the model: a catalogue, ragged histories, models with weights of every kind."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.item_features import Modalities
from imtlib.model import InterestMigrationModel


def small_catalogue() -> Catalogue:
    """Twelve items with one to three of four interests, three scenarios, two behaviours."""
    rng = np.random.default_rng(0)
    interests = rng.random((12, 4)) < 0.4
    interests[np.arange(12), np.arange(12) % 4] = True
    return Catalogue(
        tuple(f"item {i}" for i in range(12)),
        ("shop", "video", "news"),
        ("view", "buy"),
        ("art", "food", "sport", "travel"),
        interests,
        {"group": ("a", "b")},
    )


def random_histories(catalogue: Catalogue, lengths: list[int], seed: int = 1) -> Histories:
    """Histories of the given lengths, random in everything."""
    rng = np.random.default_rng(seed)
    events, many = sum(lengths), len(lengths)
    profile = np.eye(2, dtype=np.float32)[rng.integers(0, 2, many)]
    return Histories(
        catalogue,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        rng.integers(0, len(catalogue.items), events).astype(np.int32),
        rng.integers(0, len(catalogue.scenarios), events).astype(np.int32),
        rng.integers(0, len(catalogue.behaviours), events).astype(np.int32),
        np.cumsum(rng.integers(0, 5000, events)).astype(np.int64),
        rng.integers(0, len(catalogue.scenarios), many).astype(np.int32),
        np.full(many, 10_000_000, np.int64),
        profile,
    )


def random_modalities(catalogue_size: int = 12, known: int = 10, seed: int = 3) -> Modalities:
    """Made-up modalities of twelve items, each missing here and there; the last items have no id."""
    rng = np.random.default_rng(seed)
    n = catalogue_size
    present = rng.random((n, 4)) < 0.8
    present[:, 0] = np.arange(n) < known
    present[~present.any(axis=1), 3] = True
    words = np.where(present[:, 1:2], np.maximum(rng.integers(-2, 8, (n, 5)), 0), 0)
    words[present[:, 1] & (words == 0).all(axis=1), 2] = 1
    image = np.where(present[:, 3:], rng.normal(size=(n, 6)), 0).astype(np.float32)
    year = np.where(present[:, 2:3], rng.normal(size=(n, 2)), 0).astype(np.float32)
    return Modalities(
        {"text": words.astype(np.int32)},
        {"text": tuple("abcdefg")},
        {"numbers": year, "image": image},
        present,
        np.arange(n) < known,
    )


@functools.cache
def small_model(attention: str, **settings: Any) -> InterestMigrationModel:
    """A small model none of whose weights is its first one, so that nothing holds because one is zero."""
    keras.utils.set_random_seed(0)
    chosen = {"units": 16, "max_length": 64, "use_profile": True, "use_request_time": True, **settings}
    model = InterestMigrationModel(small_catalogue(), attention=attention, **chosen)
    rng = np.random.default_rng(6)
    model.set_weights([w + rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
    return model
