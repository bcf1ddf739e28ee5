"""The log: who did what, where and when; and the names and interests that give it meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imtlib.errors import UnknownNameError

IntArray = NDArray[np.int32]
TimeArray = NDArray[np.int64]

OTHER = "other"
"""The interest of an item that was given none (其他)."""


@dataclass(frozen=True, eq=False)
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
    item_interests: NDArray[np.bool_]
    user_features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def _codes(self) -> dict[str, dict[str, int]]:
        kinds = {
            "item": self.items,
            "scenario": self.scenarios,
            "behaviour": self.behaviours,
            "interest": self.interests,
        }
        return {kind: {name: code for code, name in enumerate(names)} for kind, names in kinds.items()}

    def codes(self, kind: str, names: Iterable[object]) -> IntArray:
        """Codes of names.

        Args:
            kind: `"item"`, `"scenario"`, `"behaviour"` or `"interest"`.
            names: the names, each used as `str(name)`.

        Returns:
            int32 `(n,)`.

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

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every name and every item's interests, as hex: equal exactly when the codes mean the same."""
        digest = hashlib.sha256()
        for names in (self.items, self.scenarios, self.behaviours, self.interests):
            digest.update("\x1f".join(names).encode() + b"\x1e")
        for name, categories in self.user_features.items():
            digest.update("\x1f".join((name, *categories)).encode() + b"\x1e")
        digest.update(np.packbits(self.item_interests).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class BehaviourLog:
    """Every event of every user, grouped by user and, within a user, in order of time.

    Events of one second keep the order in which they were given (a stable sort).

    Attributes:
        catalogue: names and interests.
        users: names of the U users.
        starts: int64 `(U + 1,)`; the events of user u are rows `starts[u]` to `starts[u + 1]`.
        item, scenario, behaviour: codes, int32 `(n,)`.
        time: seconds since 1970 (UTC), int64 `(n,)`.
        item_features: one row an item, in the order of `catalogue.items`, which is its index.
        user_features: one row a user, in the order of `users`, which is its index.
        notes: what was dropped or changed on the way, and why, one sentence each.
    """

    catalogue: Catalogue
    users: tuple[str, ...]
    starts: TimeArray
    item: IntArray
    scenario: IntArray
    behaviour: IntArray
    time: TimeArray
    item_features: pd.DataFrame
    user_features: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True, eq=False)
class Histories:
    """What is known at n requests: the events before each, and where and when the request is made.

    Attributes:
        catalogue: names and interests.
        starts: int64 `(n + 1,)`; the events of history r are rows `starts[r]` to `starts[r + 1]`,
            in order of time. A history may be empty.
        item, scenario, behaviour: codes, int32 `(events,)`.
        time: seconds since 1970 (UTC), int64 `(events,)`.
        request_scenario: the scenario in which the recommendation is shown, int32 `(n,)`.
        request_time: when it is asked for, seconds since 1970, int64 `(n,)`.
        profile: one-hot of the user's given features, float32 `(n, P)`; all zero where unknown.
    """

    catalogue: Catalogue
    starts: TimeArray
    item: IntArray
    scenario: IntArray
    behaviour: IntArray
    time: TimeArray
    request_scenario: IntArray
    request_time: TimeArray
    profile: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.request_scenario)

    def select(self, rows: slice | IntArray | TimeArray) -> Histories:
        """The histories of the given rows, in the given order."""
        chosen = np.arange(len(self))[rows]
        lengths = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        events = np.repeat(self.starts[chosen], lengths) + within
        return Histories(
            self.catalogue,
            starts,
            self.item[events],
            self.scenario[events],
            self.behaviour[events],
            self.time[events],
            self.request_scenario[chosen],
            self.request_time[chosen],
            self.profile[chosen],
        )


@dataclass(frozen=True, eq=False)
class Part:
    """Requests whose answer is known: a validation or a test set.

    Attributes:
        histories: what is known at each of the n requests.
        target: the item that came next, code, int32 `(n,)`.
        user: whose request it is, code in the log's users, int32 `(n,)`.
        name: `"valid"` or `"test"`.
    """

    histories: Histories
    target: IntArray
    user: IntArray
    name: str

    def __len__(self) -> int:
        return len(self.target)
