"""A small world for tests of the model: a catalogue, ragged histories, a model that has learnt."""

from __future__ import annotations

import functools

import keras
import numpy as np

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.inputs import inputs
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
def trained(attention: str, cell: str = "gru", **settings: object) -> InterestMigrationModel:
    """A small model that has learnt a rule for some steps, so that its weights are not the first ones."""
    keras.utils.set_random_seed(0)
    catalogue = small_catalogue()
    model = InterestMigrationModel(
        catalogue, units=16, layers=2, heads=4, attention=attention, cell=cell, max_length=64, **settings
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), jit_compile=False)
    batch = inputs(random_histories(catalogue, [12] * 32), 64)
    target = np.concatenate([batch["item"], batch["item"][:, :1]], axis=1)
    for _ in range(25):
        model.train_on_batch(batch, target)
    return model
