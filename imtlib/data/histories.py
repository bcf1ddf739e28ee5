"""Histories: what is known at a request; and parts, whose answers are known as well."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.types import IntArray, TimeArray


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

    def without(self, back: int) -> Histories:
        """The same histories, each without one event.

        Args:
            back: which event is left out: 1 is the last one.

        Raises:
            ValueError: a history is shorter, or `back` is below 1.
        """
        shortest = int(np.diff(self.starts).min(initial=len(self.item)))
        if not 1 <= back <= shortest:
            raise ValueError(
                f"back={back} is not between 1 and {shortest}, the length of the shortest history"
            )
        keep = np.ones(len(self.item), bool)
        keep[self.starts[1:] - back] = False
        return replace(
            self,
            starts=self.starts - np.arange(len(self.starts)),
            item=self.item[keep],
            scenario=self.scenario[keep],
            behaviour=self.behaviour[keep],
            time=self.time[keep],
        )


@dataclass(frozen=True, eq=False)
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

    def select(self, rows: slice | IntArray | TimeArray) -> EvaluationSet:
        """The requests of the given rows, in the given order."""
        return EvaluationSet(self.histories.select(rows), self.target[rows], self.user[rows], self.name)


def nobody(catalogue: Catalogue) -> Histories:
    """One request, in the first scenario and at time 0, of a user of whom nothing is known."""
    none, width = np.zeros(0, np.int32), sum(len(values) for values in catalogue.user_features.values())
    past = (none, none, none, np.zeros(0, np.int64))
    request = (np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros((1, width), np.float32))
    return Histories(catalogue, np.zeros(2, np.int64), *past, *request)
