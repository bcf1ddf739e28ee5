"""A made-up world for the simulator: interests, items, scenarios and personas, drawn once from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imtlib.data.catalogue import Catalogue
from imtlib.simulation.truth import Laws
from imtlib.types import BoolArray, FloatArray, IntArray

SCENARIOS = ("shop", "video", "news", "social", "finance")
BEHAVIOURS = ("view", "cart", "buy")
INTERESTS = ("cooking", "fashion", "gardening", "health", "investing", "music", "sport", "travel")

SHARPNESS = 2.0
"""Spread of the logits of the transition matrices: how decided people are."""
TASTE = 0.9
"""Spread of the log affinities: how much personas differ."""
LAG_SHAPE = (0.5, 1.0, 1.0, 1.0, 0.5)
"""Weights of the five lags around the peak."""


def draw_world(
    items: int,
    interests: int,
    scenarios: Sequence[str],
    personas: int,
    trigger: float,
    lag: int,
    triggers: int,
    specific: float,
    migration: float,
    seed: int,
) -> Laws:
    """Draw the laws of a world; arguments as `imtlib.simulate` has them, `seed` its `world`."""
    rng = np.random.default_rng([seed, 20])
    held = _item_interests(items, interests, rng)
    popularity: FloatArray = np.power(3.0 + rng.permutation(items), -0.8)
    names = [INTERESTS[k] if k < len(INTERESTS) else f"interest-{k + 1}" for k in range(interests)]
    width = len(str(items))
    catalogue = Catalogue(
        tuple(f"i{i + 1:0{width}d}" for i in range(items)),
        tuple(scenarios),
        BEHAVIOURS,
        tuple(names),
        held,
        {"group": tuple(f"g{m + 1}" for m in range(personas))},
    )
    affinity: FloatArray = np.exp(TASTE * rng.normal(size=(personas, interests)))
    lags = np.zeros(lag + 2)
    lags[lag - 3 :] = LAG_SHAPE
    return Laws(
        catalogue,
        _matrices(interests, len(scenarios), specific, rng),
        affinity,
        0.7 * np.eye(personas) + 0.3 / personas,
        _funnel(affinity),
        popularity,
        _effects(held, popularity, triggers),
        lags,
        trigger,
        migration,
    )


def _item_interests(items: int, interests: int, rng: np.random.Generator) -> BoolArray:
    """Each item has a first interest, in turn, and up to two more: one in 60 %, two in 30, three in 10."""
    held = np.zeros((items, interests), bool)
    for i, count in enumerate(rng.choice([1, 2, 3], size=items, p=[0.6, 0.3, 0.1])):
        others = rng.permutation(np.delete(np.arange(interests), i % interests))
        held[i, [i % interests, *others[: count - 1]]] = True
    return held


def _matrices(interests: int, scenarios: int, specific: float, rng: np.random.Generator) -> FloatArray:
    """Rows from logits that share the part `1 − specific` of their variance between scenarios."""
    common = rng.normal(size=(1, interests + 1, interests))
    own = rng.normal(size=(scenarios, interests + 1, interests))
    weight = np.exp(SHARPNESS * (np.sqrt(1 - specific) * common + np.sqrt(specific) * own))
    rows: FloatArray = weight / weight.sum(axis=-1, keepdims=True)
    return rows


def _funnel(affinity: FloatArray) -> FloatArray:
    """view, cart, buy: each further step is taken with probability affinity / (1 + affinity)."""
    further = affinity / (1 + affinity)
    return np.stack([1 - further, further * (1 - further), further**2], axis=-1)


def _effects(held: BoolArray, popularity: FloatArray, triggers: int) -> IntArray:
    """For each interest the best-known items that are not about it: they raise it later. −1 elsewhere."""
    effect = np.full(len(popularity), -1, np.int32)
    for _ in range(triggers):
        for interest in range(held.shape[1]):
            free = ~held[:, interest] & (effect < 0)
            effect[np.where(free, popularity, 0.0).argmax()] = interest
    return effect
