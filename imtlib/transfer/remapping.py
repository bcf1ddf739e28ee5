"""Carrying a model over to another catalogue (迁移): what has a name is put where the name now stands.

An axis of a weight that counts items, scenarios, behaviours, interests or categories of a user feature is put
into the order of the new catalogue. Every other weight is taken as it is. A name that the source did not know
gets the mean over the names that were carried over, plus the fresh value that an untrained model has there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.item_features import Modalities
from imtlib.data.log import BehaviourLog
from imtlib.errors import UnknownNameError
from imtlib.layers.backend import stored_matrix
from imtlib.layers.item_fusion import FusedItems
from imtlib.model import InterestMigrationModel
from imtlib.types import BoolArray, Float32Array

Places = NDArray[np.int64]
Axes = tuple[str | None, ...]
Weights = Sequence[tuple[keras.Variable, Axes]]


@dataclass(frozen=True, eq=False)
class Matching:
    """Where each name of a target stands in a source.

    Attributes:
        places: of each kind of name, in the target's order, its place in the source's, int64; −1 for a name
            that the source does not know. The kinds are `"item"` `(N,)`, `"scenario"` `(S,)`, `"behaviour"`,
            `"interest"` `(K,)` and `"feature"`, each category of each user feature as the profile has them;
            and two that weights count by: `"after"` `(N + 1,)`, no item and then the items, and `"from"`
            `(K + 1,)`, the interests and then START.
        twice: items of the target that were left unmatched because their name stands twice on a side.
    """

    places: Mapping[str, Places]
    twice: int

    def new(self, kind: str) -> BoolArray:
        """Say which names of a kind the source does not know, bool."""
        return self.places[kind] < 0


def match(
    source: Catalogue,
    target: Catalogue,
    source_items: Sequence[str] | None = None,
    target_items: Sequence[str] | None = None,
) -> Matching:
    """Match the names of two catalogues, as text, exactly.

    Args:
        source, target: the catalogues.
        source_items, target_items: what items are matched by, such as titles, one for each item in the order
            of its catalogue; by default their names. What stands twice on a side matches nothing.

    Raises:
        ValueError: there are not as many as items.
        UnknownNameError: no item is common to both.
    """
    theirs = source.items if source_items is None else tuple(source_items)
    ours = target.items if target_items is None else tuple(target_items)
    for side, given, names in (("source", theirs, source), ("target", ours, target)):
        if len(given) != len(names.items):
            problem = f"{len(given):,} names for the {len(names.items):,} items of the {side}"
            raise ValueError(f"{problem}: give one for each, in their order")
    twice = {name for side in (theirs, ours) for name, count in Counter(side).items() if count > 1}
    item = _places(theirs, ours, twice)
    if (item < 0).all():
        raise UnknownNameError(
            f"no item is common to both: the source has {list(theirs[:2])}, the target {list(ours[:2])}. "
            f"Match them by something that both have, such as titles, with source_items and target_items."
        )
    interest = _places(source.interests, target.interests)
    places = {
        "item": item,
        "after": np.concatenate([[0], np.where(item < 0, -1, item + 1)]),
        "scenario": _places(source.scenarios, target.scenarios),
        "behaviour": _places(source.behaviours, target.behaviours),
        "interest": interest,
        "from": np.append(interest, len(source.interests)),
        "feature": _places(source.profile_columns, target.profile_columns),
    }
    return Matching(places, sum(name in twice for name in ours))


def _places(theirs: Sequence[object], ours: Sequence[object], without: Collection[object] = ()) -> Places:
    known = {name: place for place, name in enumerate(theirs) if name not in without}
    return np.array([known.get(name, -1) for name in ours], np.int64)


@dataclass(frozen=True, eq=False)
class Carried:
    """A model that was carried over.

    Attributes:
        model: for the target's catalogue, with the source's configuration.
        matching: which of its names the source knew.
    """

    model: InterestMigrationModel
    matching: Matching

    def new_rows(self) -> list[tuple[keras.Variable, BoolArray]]:
        """List the weights with a place for a name unknown to the source; and where, bool of their shape."""
        found = []
        for variable, axes in named_weights(self.model):
            where = _new(axes, variable.shape, self.matching)
            if where.any():
                found.append((variable, where))
        return found


def carry_over(
    source: InterestMigrationModel,
    target: Catalogue,
    source_items: Sequence[str] | None = None,
    target_items: Sequence[str] | None = None,
    modalities: Modalities | None = None,
) -> Carried:
    """Make a model for another catalogue, with all that the source has learnt and the other can use.

    Before it is trained it can be asked already. Where the target has the same names in another order, it
    scores as the source does.

    Args:
        source: trained; it is not changed.
        target: the catalogue of the log to come to, such as `split.train.catalogue`.
        source_items, target_items: as `match` has them.
        modalities: what is known of the target's items, if the source has several modalities; described in
            its words and scales, `describe(…, like=…)`. An item that the source never met is then known by
            what it is.

    Raises:
        ValueError, UnknownNameError: as `match` raises them; or the source has adapters, or other modalities
            than those given.
    """
    matching = match(source.catalogue, target, source_items, target_items)
    _speaks_alike(source.fused, modalities)
    model = InterestMigrationModel(target, modalities, source.config)
    if len(source.weights) != len(model.weights):
        raise ValueError(
            "the source has adapters of its own: save it and load it, which folds them in, first"
        )
    named = {id(variable): axes for variable, axes in named_weights(model)}
    given = set() if model.fused is None else {id(variable) for variable in model.fused.given}
    for variable, known in zip(model.weights, source.weights, strict=True):
        if id(variable) not in given:
            axes = named.get(id(variable), ())
            variable.assign(_carried(np.asarray(known), np.asarray(variable), axes, matching))
    return Carried(model, matching)


def _speaks_alike(source: FusedItems | None, modalities: Modalities | None) -> None:
    theirs = None if source is None else source.widths
    given = None if modalities is None else modalities.widths
    if theirs != given:
        apart = f"the source has the modalities {theirs}, and these were given: {given}"
    elif source and modalities and source.shapes["language"] != modalities.language:
        apart = f"the modalities {given} are those of the source in size, but of other words or scales"
    else:
        return
    raise ValueError(
        f"{apart}. Describe the target's items with the same columns, in the source's words: "
        f"describe(…, like=…)"
    )


def named_weights(model: InterestMigrationModel) -> Weights:
    """List the weights of a model that count names, each with the kind of name along its axes, or `None`."""
    embedding, matrix, sharing = model.embedding, model.migration_matrix, model.sharing
    found: list[tuple[keras.Variable, Axes]] = [
        (stored_matrix(embedding.item) if model.fused is None else model.fused.own, ("item", None)),
        (stored_matrix(embedding.scenario), ("scenario", None)),
        (stored_matrix(embedding.behaviour), ("behaviour", None)),
        (model.item_bias, ("item",)),
        (matrix.common, ("from", "interest")),
        (matrix.by_scenario, ("scenario", "from", "interest")),
        (matrix.left, ("from", None)),
        (matrix.right, (None, "interest")),
    ]
    for head in (model.interest_points.dense, model.current_interest.dense):
        found += [(stored_matrix(head), (None, "interest")), (head.bias, ("interest",))]
    if model.config.successors:
        found.append((stored_matrix(model.successors), ("after", None)))
    if model.config.sharing == "gate":
        found.append((sharing.own, ("scenario", None)))
    if model.config.sharing == "star":
        found += [(sharing.own, ("scenario", None, None)), (sharing.own_bias, ("scenario", None))]
    if model.encoder.has_profile:
        found.append((stored_matrix(model.encoder.from_profile), ("feature", None)))
    return found


def _carried(known: Float32Array, fresh: Float32Array, axes: Axes, matching: Matching) -> Float32Array:
    """One weight: along each named axis the known places in the new order, and their mean where it is new."""
    value = known
    for number, axis in enumerate(axes):
        if axis is not None:
            places = matching.places[axis]
            there = np.take(value, places[places >= 0], axis=number)
            mean = there.mean(axis=number, keepdims=True) if there.shape[number] else 0.0
            moved = np.broadcast_to(
                mean, (*value.shape[:number], len(places), *value.shape[number + 1 :])
            ).copy()
            np.moveaxis(moved, number, 0)[places >= 0] = np.moveaxis(there, number, 0)
            value = moved
    return np.where(_new(axes, fresh.shape, matching), value + fresh, value).astype(np.float32)


def _new(axes: Axes, shape: tuple[int, ...], matching: Matching) -> BoolArray:
    """Which places of a weight belong to a name that the source does not know, bool of its shape."""
    where = np.zeros(shape, np.bool_)
    for number, axis in enumerate(axes):
        if axis is not None:
            np.moveaxis(where, number, 0)[matching.new(axis)] = True
    return where


def titles(log: BehaviourLog) -> list[str] | None:
    """Name items by title and year, to match items of two logs; `None` if it lacks either."""
    table = log.item_features
    if not {"title", "year"} <= set(table.columns):
        return None
    return [f"{title} ({year})" for title, year in zip(table["title"], table["year"], strict=True)]
