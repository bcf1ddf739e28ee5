"""Queries: what a recommendation is asked for, by names, turned into histories in a catalogue's codes."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.log import BehaviourLog
from imtlib.data.times import seconds
from imtlib.errors import UnknownNameError
from imtlib.types import BoolArray, Float32Array, IntArray

Unknown = Literal["refuse", "skip"]
"""What becomes of a name that a catalogue does not hold: an error, or it is left out and counted."""


@dataclasses.dataclass(frozen=True)
class Event:
    """One event by its names.

    Attributes:
        item, scenario, behaviour: names that the catalogue holds.
        time: seconds since 1970 (UTC).
    """

    item: str
    scenario: str
    behaviour: str
    time: int


def history_of_events(
    catalogue: Catalogue,
    events: Sequence[Event],
    scenario: str | None = None,
    at: float | str | datetime | None = None,
    profile: Mapping[str, str] | None = None,
    unknown: Unknown = "refuse",
) -> Histories:
    """Make one history from events by their names.

    Args:
        catalogue: that holds the names.
        events: in any order; they are sorted by time, stably. May be empty.
        scenario: of the request; by default that of the last event, or the catalogue's first.
        at: time of the request, as `imtlib.data.times.seconds` reads it; by default that of the last event,
            or 0.
        profile: the user's features by name.
        unknown: whether events with an unknown name are refused, or skipped with a warning.

    Returns:
        A history, one row.

    Raises:
        UnknownNameError: a name, a feature or a category is not in the catalogue.
    """
    _check(unknown)
    events = sorted(events, key=lambda event: event.time)
    if unknown == "skip":
        kept = [event for event in events if _is_known(catalogue, event)]
        _warn(len(events) - len(kept), "events of the history")
        events = kept
    scenario = scenario or (events[-1].scenario if events else catalogue.scenarios[0])
    moment = seconds(at) if at is not None else (events[-1].time if events else 0)
    return Histories(
        catalogue,
        np.array([0, len(events)], np.int64),
        catalogue.codes("item", [event.item for event in events]),
        catalogue.codes("scenario", [event.scenario for event in events]),
        catalogue.codes("behaviour", [event.behaviour for event in events]),
        np.array([event.time for event in events], np.int64),
        catalogue.codes("scenario", [scenario]),
        np.array([moment], np.int64),
        profile_vector(catalogue, profile or {})[None],
    )


def _check(unknown: str) -> None:
    if unknown not in get_args(Unknown):
        raise ValueError(f"unknown={unknown!r} is neither 'refuse' nor 'skip'")


def _is_known(catalogue: Catalogue, event: Event) -> bool:
    names = {"item": event.item, "scenario": event.scenario, "behaviour": event.behaviour}
    return all(catalogue.find(kind, [name])[0] >= 0 for kind, name in names.items())


def _warn(skipped: int, what: str) -> None:
    if skipped:
        text = f"{skipped:,} {what} have a name that the model does not know; they were skipped."
        warnings.warn(text, stacklevel=2)


def known_codes(catalogue: Catalogue, names: Collection[str], what: str, unknown: Unknown) -> IntArray:
    """Look up items that a list may or may not hold.

    Args:
        catalogue: the model's.
        names: of items.
        what: the argument that they came by, for the warning.
        unknown: whether names that it does not hold are refused, or skipped with a warning.

    Raises:
        TypeError: the names are one text.
        UnknownNameError: an item is not in the catalogue.
    """
    if isinstance(names, str):
        raise TypeError(f"{what}={names!r} is a text: give a list of names, [{names!r}]")
    if unknown == "refuse":
        return catalogue.codes("item", names)
    codes = catalogue.find("item", names)
    _warn(int((codes < 0).sum()), f"items of {what}")
    return codes[codes >= 0]


def profile_vector(catalogue: Catalogue, features: Mapping[str, str]) -> Float32Array:
    """Encode a user's given features as one-hots, float32 `(P,)`; features that are not given stay zero.

    Args:
        catalogue: that holds the features.
        features: the category of each given feature, by its name.

    Raises:
        UnknownNameError: a feature or a category is not in the catalogue.
    """
    unknown = set(features) - set(catalogue.user_features)
    if unknown:
        raise UnknownNameError(
            f"unknown feature {min(unknown)!r}: the catalogue holds {list(catalogue.user_features)}"
        )
    parts = []
    for name, categories in catalogue.user_features.items():
        one_hot = np.zeros(len(categories), np.float32)
        if name in features:
            if str(features[name]) not in categories:
                raise UnknownNameError(
                    f"unknown {name} {features[name]!r}: the catalogue holds {list(categories[:8])}"
                )
            one_hot[categories.index(str(features[name]))] = 1
        parts.append(one_hot)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def in_catalogue(histories: Histories, catalogue: Catalogue, unknown: Unknown = "refuse") -> Histories:
    """Translate histories into the codes of another catalogue, name by name.

    Args:
        histories: of any catalogue.
        catalogue: whose codes they get, such as a model's.
        unknown: whether events with an item, scenario or behaviour that the catalogue lacks are refused, or
            left out with a warning.

    Returns:
        The same events and requests. A user feature that only the new catalogue has is unknown: all zero.

    Raises:
        UnknownNameError: the catalogue lacks an item, scenario or behaviour of the events, the scenario of a
            request, or a user feature or category that a profile holds.
        ValueError: `unknown` is neither.
    """
    _check(unknown)
    if histories.catalogue.fingerprint == catalogue.fingerprint:
        return histories
    old = histories.catalogue
    if unknown == "skip":
        keep = _known_events(histories, catalogue)
        _warn(int((~keep).sum()), f"of {len(keep):,} events")
        histories = _asked_somewhere(histories.filter(keep), catalogue)

    def translate(kind: str, names: tuple[str, ...], codes: IntArray) -> IntArray:
        used, place = np.unique(codes, return_inverse=True)
        try:
            return catalogue.codes(kind, [names[code] for code in used])[place]
        except UnknownNameError as error:
            raise UnknownNameError(f"{error} To leave such events out, say unknown='skip'.") from None

    return dataclasses.replace(
        histories,
        catalogue=catalogue,
        item=translate("item", old.items, histories.item),
        scenario=translate("scenario", old.scenarios, histories.scenario),
        behaviour=translate("behaviour", old.behaviours, histories.behaviour),
        request_scenario=translate("scenario", old.scenarios, histories.request_scenario),
        profile=_translated_profile(histories, catalogue),
    )


def _asked_somewhere(histories: Histories, catalogue: Catalogue) -> Histories:
    """Requests in an unknown scenario are made where the last event left is, or else in a known one."""
    old = histories.catalogue.scenarios
    known = catalogue.find("scenario", old) >= 0
    strange = ~known[histories.request_scenario]
    if not strange.any():
        return histories
    _warn(int(strange.sum()), f"of {len(histories):,} scenarios of requests")
    last = np.maximum(histories.starts[1:] - 1, 0)
    # Where no scenario is known, the first one here is asked for, and refused by name.
    where = np.where(histories.lengths > 0, np.append(histories.scenario, 0)[last], known.argmax())
    scenario = np.where(strange, where, histories.request_scenario).astype(np.int32)
    return dataclasses.replace(histories, request_scenario=scenario)


def _known_events(histories: Histories, catalogue: Catalogue) -> BoolArray:
    """Which events name only what a catalogue holds, bool `(events,)`."""
    old = histories.catalogue
    columns = [
        ("item", old.items, histories.item),
        ("scenario", old.scenarios, histories.scenario),
        ("behaviour", old.behaviours, histories.behaviour),
    ]
    known = [(catalogue.find(kind, names) >= 0)[codes] for kind, names, codes in columns]
    return np.logical_and.reduce(known)


def _translated_profile(histories: Histories, catalogue: Catalogue) -> Float32Array:
    place = {column: place for place, column in enumerate(catalogue.profile_columns)}
    profile = np.zeros((len(histories), len(place)), np.float32)
    for column, values in zip(histories.catalogue.profile_columns, histories.profile.T, strict=True):
        if column in place:
            profile[:, place[column]] = values
        elif values.any():
            feature, category = column
            known = list(catalogue.user_features.get(feature, ()))
            holds = f"of {feature}, {known[:8]}" if known else f"the features {[*catalogue.user_features]}"
            raise UnknownNameError(
                f"a profile holds {feature} {category!r}, which the catalogue does not; it holds {holds}. To "
                f"do without what is known of the users, give log.without_user_features() or its histories."
            )
    return profile


def requested(
    catalogue: Catalogue,
    log: BehaviourLog | None,
    user: str | int | Collection[object] | None,
    history: Histories | Sequence[Event] | None,
    scenario: str | None = None,
    at: float | str | datetime | None = None,
    profile: Mapping[str, str] | None = None,
    unknown: Unknown = "refuse",
) -> tuple[Histories, str, Sequence[object]]:
    """Find the histories that lists are asked for, in the codes of a catalogue.

    Args:
        catalogue: the model's.
        log, user: whose events are the histories: one user, a list of users, or everybody.
        history: instead of these, histories, or the events of one by their names.
        scenario, at: of the requests, for users or events; histories hold them already.
        profile: the user's features, for events; a log and histories hold them already.
        unknown: whether events with unknown names are refused, or skipped with a warning.

    Returns:
        The histories; `"user"` or `"request"`; and the names of the users, or the numbers of the histories.

    Raises:
        ValueError: neither or both are given, or what the history holds already.
        TypeError: what is given as a log or a history is none.
        UnknownNameError: a name is not known.
    """
    if (log is None) == (history is None) or (history is not None and user is not None):
        raise ValueError("give a log, recommend(log) or recommend(log, user=…), or a history, history=…")
    if log is not None:
        if not isinstance(log, BehaviourLog):
            raise TypeError(f"a {type(log).__name__} is no log: recommend(log, user=…) or (history=…)")
        if profile is not None:
            raise ValueError(
                "the log holds the users' profiles: leave out profile, or give events as history"
            )
        asked = log.histories(user, scenario, at)
        who = log.users if user is None else [user] if isinstance(user, (str, int)) else list(user)
        return in_catalogue(asked, catalogue, unknown), "user", [str(name) for name in who]
    if isinstance(history, Histories):
        if (scenario, at, profile) != (None, None, None):
            raise ValueError(
                "histories hold their scenario, time and profile: leave them out, or give events"
            )
        return in_catalogue(history, catalogue, unknown), "request", range(len(history))
    events = list(history or ())
    if not all(isinstance(event, Event) for event in events):
        raise TypeError("a history is a list of imtlib.Event, or Histories such as log.histories() gives")
    return history_of_events(catalogue, events, scenario, at, profile, unknown), "request", range(1)


def without_each(history: Histories, events: NDArray[np.int64]) -> Histories:
    """Copy one history, each time without one of its events.

    Args:
        history: one row.
        events: places in it, int `(n,)`.

    Returns:
        n histories, each one event shorter.
    """
    copies = history.take(np.zeros(len(events), np.int64))
    keep = np.ones(len(copies.item), np.bool_)
    keep[copies.starts[:-1] + events] = False
    return copies.filter(keep)
