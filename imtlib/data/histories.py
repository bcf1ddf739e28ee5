"""Histories: what is known at a request; and parts, whose answers are known as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imtlib.data.catalogue import Catalogue
from imtlib.data.events import Events
from imtlib.types import BoolArray, Float32Array, IntArray, TimeArray


@dataclass(frozen=True, eq=False, repr=False)
class Histories(Events):
    """What is known at n requests: the events before each, and where and when the request is made.

    Attributes:
        catalogue, starts, item, scenario, behaviour, time: the events, a row for each request.
        request_scenario: the scenario in which the recommendation is shown, int32 `(n,)`.
        request_time: when it is asked for, seconds since 1970, int64 `(n,)`.
        profile: one-hot of the user's given features, float32 `(n, P)`; all zero where unknown.
    """

    request_scenario: IntArray
    request_time: TimeArray
    profile: Float32Array

    @classmethod
    def of(
        cls, events: Events, request_scenario: IntArray, request_time: TimeArray, profile: Float32Array
    ) -> Histories:
        """Make histories of events and requests; arguments as the attributes."""
        past = (events.starts, events.item, events.scenario, events.behaviour, events.time)
        return cls(events.catalogue, *past, request_scenario, request_time, profile)

    def __len__(self) -> int:
        return len(self.request_scenario)

    def take(self, rows: slice | IntArray | TimeArray) -> Histories:
        """Take the histories of the given rows, in the given order."""
        request = (self.request_scenario[rows], self.request_time[rows], self.profile[rows])
        return Histories.of(super().take(rows), *request)

    def without(self, back: int) -> Histories:
        """Leave one event out of each history.

        Args:
            back: which one: 1 is the last.

        Raises:
            ValueError: a history is shorter, or `back` is below 1.
        """
        shortest = int(self.lengths.min(initial=len(self.item)))
        if not 1 <= back <= shortest:
            raise ValueError(
                f"back={back} is not between 1 and {shortest}, the length of the shortest history"
            )
        keep = np.ones(len(self.item), bool)
        keep[self.starts[1:] - back] = False
        return self.filter(keep)


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationSet:
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

    def __repr__(self) -> str:
        return f"EvaluationSet {self.name!r}: {len(self):,} requests with {self.histories!r}"

    @property
    def seen_targets(self) -> BoolArray:
        """Which requests ask for an item that their history holds already, bool `(n,)`."""
        past = self.histories
        return np.bincount(past.owner, past.item == self.target[past.owner], minlength=len(self)) > 0

    def take(self, rows: slice | IntArray | TimeArray) -> EvaluationSet:
        """Take the requests of the given rows, in the given order."""
        return EvaluationSet(self.histories.take(rows), self.target[rows], self.user[rows], self.name)


def nobody(catalogue: Catalogue) -> Histories:
    """Make one request of an unknown user, in the first scenario and at time 0."""
    none, width = np.zeros(0, np.int32), len(catalogue.profile_columns)
    past = (none, none, none, np.zeros(0, np.int64))
    request = (np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros((1, width), np.float32))
    return Histories(catalogue, np.zeros(2, np.int64), *past, *request)
