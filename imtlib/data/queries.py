"""A list for one user, with its reasons: the model's probabilities, the policy, and what tipped them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.log import BehaviourLog
from imtlib.data.profile import interest_shares
from imtlib.errors import UnknownNameError
from imtlib.recommendation import Policy, adjusted, choose, responsibility


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


class _Explains(Protocol):
    catalogue: Catalogue
    settings: dict[str, Any]

    def outputs(self, histories: Histories, names: tuple[str, ...]) -> dict[str, NDArray[np.float32]]: ...

    def log_z(self, query: NDArray[np.float32]) -> NDArray[np.float64]: ...


def history_of_events(
    catalogue: Catalogue,
    events: Sequence[Event],
    scenario: str | None = None,
    at: int | None = None,
    profile: Mapping[str, str] | None = None,
) -> Histories:
    """One history from events by their names.

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


def profile_vector(catalogue: Catalogue, features: Mapping[str, str]) -> NDArray[np.float32]:
    """One-hot of a user's given features, float32 `(P,)`; features that are not given stay zero.

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
    """The same histories in the codes of another catalogue, matched by name.

    Raises:
        UnknownNameError: an item, scenario or behaviour of the histories is not in it.
    """
    if histories.catalogue.fingerprint == catalogue.fingerprint:
        return histories
    old = histories.catalogue

    def translate(kind: str, names: tuple[str, ...], codes: NDArray[np.int32]) -> NDArray[np.int32]:
        used, place = np.unique(codes, return_inverse=True)
        return catalogue.codes(kind, [names[code] for code in used])[place]

    same_features = dict(old.user_features) == dict(catalogue.user_features)
    width = sum(len(values) for values in catalogue.user_features.values())
    return dataclasses.replace(
        histories,
        catalogue=catalogue,
        item=translate("item", old.items, histories.item),
        scenario=translate("scenario", old.scenarios, histories.scenario),
        behaviour=translate("behaviour", old.behaviours, histories.behaviour),
        request_scenario=translate("scenario", old.scenarios, histories.request_scenario),
        profile=histories.profile if same_features else np.zeros((len(histories), width), np.float32),
    )


def requested(
    catalogue: Catalogue,
    log: BehaviourLog | None,
    user: str | None,
    history: Histories | Sequence[Event] | None,
    scenario: str | None = None,
    at: int | None = None,
    profile: Mapping[str, str] | None = None,
) -> Histories:
    """The history that a recommendation is asked for, in the codes of a catalogue.

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
    """Copies of one history, each lacking one of the given events (rows of the history)."""
    length = len(history.item)
    kept = np.array([np.delete(np.arange(length), event) for event in events], np.int64).reshape(-1)
    many = len(events)
    return Histories(
        history.catalogue,
        np.arange(many + 1, dtype=np.int64) * (length - 1),
        history.item[kept],
        history.scenario[kept],
        history.behaviour[kept],
        history.time[kept],
        np.repeat(history.request_scenario, many),
        np.repeat(history.request_time, many),
        np.repeat(history.profile, many, axis=0),
    )


def recommend(
    model: _Explains,
    history: Histories,
    *,
    k: int = 10,
    allowed: Collection[str] | None = None,
    policy: Policy | None = None,
    reasons: int = 2,
) -> pd.DataFrame:
    """The best k items for one history, best first.

    Args:
        model: an `InterestMigrationModel`.
        history: one row, of the model's catalogue.
        k: how many, at most the size of the catalogue; fewer come when fewer may be shown.
        allowed: names of the items that may be shown, such as what is in stock; all by default.
        policy: see `Policy`; by default seen items are left out and nothing else is changed.
        reasons: how many events to name for each item; 0 saves the time of finding them.

    Returns:
        One row an item. `item`; `probability`, the model's own, over the whole catalogue; `interest`, the
        one with the largest responsibility, and `share`, how large (None and NaN for a model that does not go
        through interests); `because`, the events whose removal
        would lower the item's log-probability most, as item names, largest loss first.

    Raises:
        ValueError: `k` is below 1 or above the catalogue.
        UnknownNameError: an allowed item is not in the catalogue.
    """
    names, policy = model.catalogue, policy or Policy()
    if not 1 <= k <= len(names.items):
        raise ValueError(f"k={k} is not between 1 and the {len(names.items):,} items of the catalogue")
    ends = model.outputs(history, ("log_p", "query", "next_interest", "interest_logits"))
    log_p, interests = ends["log_p"][0], names.item_interests.astype(np.float64)
    expected = 1 / (1 + np.exp(-ends["interest_logits"][0].astype(np.float64)))
    may = np.ones(len(names.items), bool)
    if allowed is not None:
        may[:] = False
        may[names.codes("item", allowed)] = True
    if not policy.seen:
        may[history.item] = False
    shares = interest_shares(history)[0]
    score = adjusted(log_p.astype(np.float64), interests, policy, shares, expected)
    chosen = np.array(list(choose(score, interests, may, k, policy.diversity)), int)
    top, share = _interest_behind(model, ends, interests[chosen])
    return pd.DataFrame(
        {
            "item": [names.items[i] for i in chosen],
            "probability": np.exp(log_p[chosen].astype(np.float64)),
            "interest": top,
            "share": share,
            "because": _because(model, history, log_p, chosen, reasons),
        }
    )


def _interest_behind(
    model: _Explains, ends: Mapping[str, NDArray[Any]], item_interests: NDArray[np.float64]
) -> tuple[list[str | None], NDArray[Any]]:
    """Of each chosen item, rows of G `(k, K)`: the most responsible interest, and its responsibility."""
    if not model.settings["through_interests"]:
        return [None] * len(item_interests), np.full(len(item_interests), np.nan)
    why = responsibility(model.log_z(ends["query"])[0], ends["next_interest"][0], item_interests)
    return [model.catalogue.interests[y] for y in why.argmax(axis=1)], why.max(axis=1)


def _because(
    model: _Explains, history: Histories, log_p: NDArray[Any], chosen: NDArray[Any], reasons: int
) -> list[tuple[str, ...]]:
    length = len(history.item)
    if not reasons or not length:
        return [() for _ in chosen]
    events = np.arange(max(0, length - 200), length)
    lacking = model.outputs(without_each(history, events), ("log_p",))["log_p"][:, chosen]
    loss = log_p[chosen][None] - lacking
    order = np.argsort(-loss, axis=0, kind="stable")[:reasons]
    names = model.catalogue.items
    return [
        tuple(names[history.item[events[e]]] for e in order[:, place] if loss[e, place] > 0)
        for place in range(len(chosen))
    ]
