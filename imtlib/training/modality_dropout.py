"""Modalities hidden at random while a model learns, so that it can do without any of them."""

from __future__ import annotations

import keras
import numpy as np

from imtlib.training.trainable import Hideable
from imtlib.types import BoolArray


def hidden_at_random(present: BoolArray, share: float, rng: np.random.Generator) -> BoolArray:
    """Draw which modalities are left when a share is hidden; an item keeps at least one of those it has.

    Args:
        present: which item has which, bool `(N, M)`.
        share: chance of each to be hidden, from 0 to below 1.
        rng: for the draw.

    Returns:
        Bool `(N, M)`, never true where `present` is not.
    """
    draw = np.where(present, rng.random(present.shape), -1.0)
    last = draw == draw.max(axis=1, keepdims=True)
    kept: BoolArray = present & ((draw >= share) | last)
    return kept


class Hiding(keras.callbacks.Callback):
    """Hide modalities anew at each step, by the seed, the epoch and the step alone; between steps show all.

    What is hidden of an item is hidden in the whole batch: where it is read and where it is scored. Source:
    DropoutNet (Volkovs, Yu & Poutanen, NeurIPS 2017), which so hides what is known of preferences.

    Args:
        items: of the model.
        share: chance of each pair of an item and a modality to be hidden.
        seed: of the draws.
    """

    def __init__(self, items: Hideable, share: float, seed: int) -> None:
        super().__init__()
        self.items, self.share, self.seed = items, share, seed
        self.present = np.asarray(items.present) > 0
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Note the epoch."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Hide."""
        rng = np.random.default_rng([self.seed, self.epoch, batch])
        self.items.show(hidden_at_random(self.present, self.share, rng))

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Show everything: whatever comes between two steps measures or keeps the model."""
        self.items.show(self.present)


def hiding(items: Hideable | None, share: float, seed: int) -> list[Hiding]:
    """Make the callback for a share to be hidden; none for a share of zero.

    Args:
        items: of the model; `None` if an item is known by its id alone.
        share: chance of each pair of an item and a modality to be hidden, from 0 to below 1.
        seed: of the draws.

    Raises:
        ValueError: there is nothing to hide.
    """
    if not share:
        return []
    if items is None:
        raise ValueError(
            f"modality_dropout={share} has nothing to hide: make the model with modalities=describe(…), or "
            f"leave it out"
        )
    return [Hiding(items, share, seed)]
