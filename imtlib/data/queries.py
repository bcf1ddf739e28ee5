"""Queries: what a recommendation is asked for, by names, turned into histories in a catalogue's codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.log import BehaviourLog
from imtlib.errors import UnknownNameError
from imtlib.types import Float32Array, IntArray


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
    at: int | None = None,
    profile: Mapping[str, str] | None = None,
) -> Histories:
    """Make one history from events by their names.

    Args:
        catalogue: that holds the names.
        events: in any order; they are sorted by time, stably. May be empty.
        scenario: of the request; by default that of the last event, or the catalogue's first.
        at: time of the request, seconds since 1970; by default that of the last event, or 0.
        profile: the user's features by name.

    Returns:
        A history, one row.

    Raises:
        UnknownNameError: a name, a feature or a category is not in the catalogue.
    """
    events = sorted(events, key=lambda event: event.time)
    scenario = scenario or (events[-1].scenario if events else catalogue.scenarios[0])
    moment = at if at is not None else (events[-1].time if events else 0)
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


def in_catalogue(histories: Histories, catalogue: Catalogue) -> Histories:
    """Translate histories into the codes of another catalogue, name by name.

    Args:
        histories: of any catalogue.
        catalogue: whose codes they get, such as a model's.

    Returns:
        The same events and requests. A user feature that only the new catalogue has is unknown: all zero.

    Raises:
        UnknownNameError: the catalogue lacks an item, scenario or behaviour of the histories, or a user
            feature or category that a profile holds.
    """
    if histories.catalogue.fingerprint == catalogue.fingerprint:
        return histories
    old = histories.catalogue

    def translate(kind: str, names: tuple[str, ...], codes: IntArray) -> IntArray:
        used, place = np.unique(codes, return_inverse=True)
        return catalogue.codes(kind, [names[code] for code in used])[place]

    return dataclasses.replace(
        histories,
        catalogue=catalogue,
        item=translate("item", old.items, histories.item),
        scenario=translate("scenario", old.scenarios, histories.scenario),
        behaviour=translate("behaviour", old.behaviours, histories.behaviour),
        request_scenario=translate("scenario", old.scenarios, histories.request_scenario),
        profile=_translated_profile(histories, catalogue),
    )


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
    user: str | None,
    history: Histories | Sequence[Event] | None,
    scenario: str | None = None,
    at: int | None = None,
    profile: Mapping[str, str] | None = None,
) -> Histories:
    """Find the history that a recommendation is asked for, in the codes of a catalogue.

    Args:
        catalogue: the model's.
        log, user: whose events are the history.
        history: instead of these, one row of histories, or events by their names.
        scenario, at: of the request, for a user or events; a row of histories holds them already.
        profile: the user's features, for events; a log and a row of histories hold them already.

    Returns:
        A history, one row.

    Raises:
        ValueError: neither or both are given, or what the history holds already.
        UnknownNameError: a name is not known.
    """
    if (log is None) != (user is None) or (log is None) == (history is None):
        raise ValueError("give a log and a user of it, or a history: recommend(log, user=…) or (history=…)")
    if log is not None:
        if profile is not None:
            raise ValueError("the log holds the user's profile: leave out profile, or give events as history")
        return in_catalogue(log.history_of(user, scenario, at), catalogue)
    if isinstance(history, Histories):
        if (scenario, at, profile) != (None, None, None):
            raise ValueError(
                "a row of histories holds its scenario, time and profile: leave them out, or give events"
            )
        return in_catalogue(history, catalogue)
    return history_of_events(catalogue, history or (), scenario, at, profile)


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
