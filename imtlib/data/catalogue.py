"""The catalogue: the names a model must know, and which item has which interests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from imtlib.errors import ModelFileError, UnknownNameError
from imtlib.types import BoolArray, FloatArray, IntArray, TimeArray

OTHER = "other"
"""The interest of an item that was given none (其他)."""
KINDS = ("items", "scenarios", "behaviours", "interests", "user features")


@dataclass(frozen=True, eq=False, repr=False)
class Catalogue:
    """The names a model must know, and which item has which interests. It names no user.

    A name's *code* is its place in its tuple; arrays hold codes.

    Attributes:
        items: names of the N items.
        scenarios: names of the S scenarios (场景).
        behaviours: names of the behaviours (行为).
        interests: names of the K interest points (兴趣点).
        item_interests: bool `(N, K)`; row i marks the interests G(i). No row is empty:
            an item that was given none has the interest `"other"`.
        user_features: the categories of each user feature, by feature name. A user's profile
            vector is the one-hot of these, in this order.
    """

    items: tuple[str, ...]
    scenarios: tuple[str, ...]
    behaviours: tuple[str, ...]
    interests: tuple[str, ...]
    item_interests: BoolArray
    user_features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        kinds = zip(KINDS, (*self._names()[:-1], tuple(self.user_features)), strict=True)
        return "Catalogue: " + ", ".join(f"{len(names):,} {kind}" for kind, names in kinds)

    @cached_property
    def _codes(self) -> dict[str, dict[str, int]]:
        kinds = {
            "item": self.items,
            "scenario": self.scenarios,
            "behaviour": self.behaviours,
            "interest": self.interests,
        }
        return {kind: {name: code for code, name in enumerate(names)} for kind, names in kinds.items()}

    @cached_property
    def known_interests(self) -> BoolArray:
        """G without "other", bool `(N, K)`: the row of an item that was given no interest is empty."""
        known = self.item_interests.copy()
        if OTHER in self.interests:
            known[:, self.interests.index(OTHER)] = False
        return known

    @cached_property
    def profile_columns(self) -> tuple[tuple[str, str], ...]:
        """What each of the P numbers of a profile vector stands for: a feature and one of its categories."""
        return tuple((name, value) for name, known in self.user_features.items() for value in known)

    def codes(self, kind: str, names: Iterable[object]) -> IntArray:
        """Look names up.

        Args:
            kind: `"item"`, `"scenario"`, `"behaviour"` or `"interest"`.
            names: the names, each used as `str(name)`.

        Returns:
            Their codes, int32 `(n,)`.

        Raises:
            UnknownNameError: a name is not in the catalogue; the message names the first one.
        """
        table = self._codes[kind]
        try:
            return np.fromiter((table[str(name)] for name in names), dtype=np.int32)
        except KeyError as missing:
            raise UnknownNameError(
                f"unknown {kind} {missing.args[0]!r}: the catalogue holds {len(table):,} names of this kind, "
                f"such as {list(table)[:3]}. Names are compared as text, exactly."
            ) from None

    def find(self, kind: str, names: Iterable[object]) -> IntArray:
        """Look names up as `codes` does, but a name that is not in the catalogue is no error: it gives −1."""
        table = self._codes[kind]
        return np.fromiter((table.get(str(name), -1) for name in names), dtype=np.int32)

    @cached_property
    def _listed(self) -> tuple[TimeArray, TimeArray]:
        """Interests of item 0, then of item 1 and so on; and where each item's begin."""
        item, interest = np.nonzero(self.item_interests)
        return interest, np.searchsorted(item, np.arange(len(self.items) + 1))

    def spread(self, item: IntArray) -> tuple[TimeArray, TimeArray, FloatArray]:
        """Spread events evenly over their interests: one entry for each event and each of its interests.

        Args:
            item: codes, int `(n,)`.

        Returns:
            Of each entry its event (a place in `item`) and its interest, int64; its share 1/|G(i)|, float64.
        """
        interest, begin = self._listed
        many = np.diff(begin)[item]
        event = np.repeat(np.arange(len(item)), many)
        within = np.arange(len(event)) - np.repeat(np.cumsum(many) - many, many)
        return event, interest[begin[item][event] + within], 1.0 / many[event]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of all names and interests: equal exactly when the codes mean the same."""
        digest = hashlib.sha256()
        for names in (self.items, self.scenarios, self.behaviours, self.interests):
            digest.update("\x1f".join(names).encode() + b"\x1e")
        for name, categories in self.user_features.items():
            digest.update("\x1f".join((name, *categories)).encode() + b"\x1e")
        digest.update(np.packbits(self.item_interests).tobytes())
        return digest.hexdigest()

    def require_same(self, other: Catalogue, mine: str, theirs: str, fix: str) -> None:
        """Refuse a catalogue whose codes mean something else, and say what differs.

        Args:
            other: the catalogue that must be the same.
            mine, theirs: what has this catalogue and the other one, such as "the model" and "the log".
            fix: what the reader can do about it, as a sentence.

        Raises:
            ModelFileError: the catalogues differ, in names, their order, or interests.
        """
        if self.fingerprint != other.fingerprint:
            found = "; ".join(self._differences(other, mine, theirs))
            raise ModelFileError(f"the catalogue of {theirs} is not that of {mine}: {found}. {fix}")

    def _differences(self, other: Catalogue, mine: str, theirs: str) -> list[str]:
        found = []
        for kind, one, two in zip(KINDS, self._names(), other._names(), strict=True):
            apart = [(set(one) - set(two), mine), (set(two) - set(one), theirs)]
            parts = [
                f"{len(names):,} of {who} alone, such as {min(names)!r}" for names, who in apart if names
            ]
            if one != two:
                found.append(f"{kind}: {' and '.join(parts) or 'the same names in another order'}")
        if (self.items, self.interests) == (other.items, other.interests):
            changed = np.flatnonzero((self.item_interests != other.item_interests).any(axis=1))
            if len(changed):
                here, there = (held.interests_of(int(changed[0])) for held in (self, other))
                found.append(
                    f"interests of {len(changed):,} items, such as {self.items[changed[0]]!r}: "
                    f"{here} of {mine}, {there} of {theirs}"
                )
        return found

    def _names(self) -> tuple[tuple[str, ...], ...]:
        features = (*self.user_features, *(" ".join(column) for column in self.profile_columns))
        return self.items, self.scenarios, self.behaviours, self.interests, features

    def interests_of(self, item: int) -> list[str]:
        """Name the interests of an item.

        Args:
            item: its code.
        """
        return [self.interests[k] for k in np.flatnonzero(self.item_interests[item])]

    def pack(self) -> dict[str, Any]:
        """Write the catalogue as plain lists and text, for a model's configuration."""
        return {
            "items": list(self.items),
            "scenarios": list(self.scenarios),
            "behaviours": list(self.behaviours),
            "interests": list(self.interests),
            "item_interests": [np.flatnonzero(row).tolist() for row in self.item_interests],
            "user_features": {name: list(values) for name, values in self.user_features.items()},
        }

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> Catalogue:
        """Read the catalogue that `pack` wrote."""
        item_interests = np.zeros((len(packed["items"]), len(packed["interests"])), bool)
        for row, held in zip(item_interests, packed["item_interests"], strict=True):
            row[held] = True
        return cls(
            tuple(packed["items"]),
            tuple(packed["scenarios"]),
            tuple(packed["behaviours"]),
            tuple(packed["interests"]),
            item_interests,
            {name: tuple(values) for name, values in packed["user_features"].items()},
        )
