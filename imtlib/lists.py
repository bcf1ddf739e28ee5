"""Lists: the best items for one request or for many, with their reasons, as one table."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.inputs import by_length
from imtlib.data.log import BehaviourLog
from imtlib.data.profile import interest_shares
from imtlib.data.queries import Event, Unknown, known_codes, requested, without_each
from imtlib.recommendation import Policy, adjusted, choose, responsibility
from imtlib.types import BoolArray, FloatArray, IntArray, ScoreArray

BATCH = 256
"""Requests worked on at a time: it bounds the memory and changes no list."""
LATEST = 50
"""Events, the latest of a history, that may be named as a reason.

Of 40 people of MovieLens-1M with 200 events or more, 99 of 100 first reasons lay among these, and 96 of
100 of the first two. Each event costs a reading of the whole history."""


class Scores(Protocol):
    """What can make lists: a model, or a baseline."""

    catalogue: Catalogue

    def score(self, histories: Histories) -> ScoreArray:
        """Compute log p of the next item, `(n, N)`, in the catalogue's order."""


@runtime_checkable
class _Explains(Protocol):
    """A model that predicts interests, and so can say which of them an item is there for."""

    catalogue: Catalogue
    config: Any

    def outputs(self, histories: Histories, names: tuple[str, ...]) -> dict[str, NDArray[np.float32]]: ...


def recommend(
    model: Scores,
    log: BehaviourLog | None = None,
    *,
    user: str | int | Collection[object] | None = None,
    history: Histories | Sequence[Event] | None = None,
    k: int = 10,
    scenario: str | None = None,
    at: float | str | datetime | None = None,
    profile: Mapping[str, str] | None = None,
    allowed: Collection[str] | None = None,
    exclude: Collection[str] = (),
    policy: Policy | None = None,
    reasons: int | None = None,
    unknown: Unknown = "refuse",
) -> pd.DataFrame:
    """Recommend the best k items to users of a log, or after histories of their own; each with its reason.

    Args:
        model: an `InterestMigrationModel` or a baseline.
        log: whose events are the histories; its names are matched to the model's.
        user: a user of the log, or a list of users; by default everybody.
        history: instead of a log, n histories; or the events of one by their names, which may be none.
        k: how many, at most the size of the catalogue; fewer come when fewer may be shown.
        scenario: where they will be shown; by default where the user's last event was, and for somebody
            without an event where most events of the log are.
        at: when, as `imtlib.data.times.seconds` reads it; by default the time of the user's last event, and
            for somebody without an event that of the log's last.
        profile: the user's features, with events; it makes the first state if the model uses it.
        allowed: names of the items that may be shown, such as those in stock; by default all.
        exclude: names of items that may not be shown.
        policy: see `Policy`; by default items of the history are left out and nothing else is changed.
        reasons: how many events to name for each item, of the latest 50; by default 2 for a single request,
            and none for several, since to find them takes several times as long as the list.
        unknown: whether an item, scenario or behaviour that the model does not know, in a history, `allowed`
            or `exclude`, is refused; or skipped, and a warning says how many.

    Returns:
        One row an item, the requests one after the other, each best first. `user`, the name, or `request`,
        the number of the history; `rank`, from 1; `item`; `probability`, the model's own, over the whole
        catalogue; `interest`, the one with the largest responsibility, and `share`, how large (None and NaN
        for a model that does not go through interests); `because`, the events whose removal would lower the
        item's log-probability most, as item names, largest loss first.

    Raises:
        ValueError: neither a log nor a history is given, an argument goes with the other way of asking, or
            `k` is out of range.
        LogError: `at` is no moment, or the log has no event to take the time or the scenario from.
        UnknownNameError: a user, or an item, scenario, behaviour or feature, is not known.
    """
    names = model.catalogue
    if not 1 <= k <= len(names.items):
        raise ValueError(f"k={k} is not between 1 and the {len(names.items):,} items of the catalogue")
    asked, column, who = requested(names, log, user, history, scenario, at, profile, unknown)
    may = np.full(len(names.items), allowed is None)
    if allowed is not None:
        may[known_codes(names, allowed, "allowed", unknown)] = True
    may[known_codes(names, exclude, "exclude", unknown)] = False
    policy = policy or Policy()
    reasons = (2 if len(asked) == 1 else 0) if reasons is None else reasons
    lists = [
        made
        for rows in by_length(asked, BATCH)
        for made in _lists(model, asked.take(rows), rows, may, k, policy, reasons)
    ]
    lists.sort(key=lambda made: made.request)
    many = [len(made.codes) for made in lists]
    if 0 in many:
        text = (
            f"{many.count(0):,} of {len(many):,} requests have no item that may be shown: they have no list."
        )
        warnings.warn(text, stacklevel=2)
    rows = np.repeat(np.array([made.request for made in lists], np.int64), many)

    def joined(parts: Sequence[Any]) -> Any:
        return np.concatenate([np.zeros(0), *parts])

    return pd.DataFrame(
        {
            column: rows if column == "request" else np.array(who, object)[rows],
            "rank": joined([np.arange(1, n + 1) for n in many]).astype(np.int64),
            "item": np.array(names.items, object)[joined([made.codes for made in lists]).astype(np.int64)],
            "probability": joined([made.probability for made in lists]),
            "interest": np.array([*names.interests, None], object)[
                joined([made.interest for made in lists]).astype(np.int64)
            ],
            "share": joined([made.share for made in lists]),
            "because": pd.Series([events for made in lists for events in made.because], dtype=object),
        }
    )


@dataclass(frozen=True, eq=False)
class _List:
    """One list: codes of items and interests (−1 for none), and what is told of them."""

    request: int
    codes: NDArray[np.int64]
    probability: FloatArray
    interest: NDArray[np.int64]
    share: FloatArray
    because: list[tuple[str, ...]]


def _lists(
    model: Scores,
    part: Histories,
    rows: IntArray,
    may: BoolArray,
    k: int,
    policy: Policy,
    reasons: int,
) -> Iterator[_List]:
    """The lists of some requests, whose numbers are `rows`."""
    names = model.catalogue
    ends = _ends(model, part, policy)
    log_p = ends["log_p"].astype(np.float64)
    score = _policy_scores(ends, log_p, names, part, policy)
    free = np.tile(may, (len(part), 1))
    if not policy.seen:
        free[part.owner, part.item] = False
    for place, row in enumerate(rows):
        chosen = choose(score[place], names.item_interests, free[place], k, policy.diversity)
        interest, share = np.full(len(chosen), -1), np.full(len(chosen), np.nan)
        if "log_z" in ends and len(chosen):
            own = names.item_interests[chosen]
            why = responsibility(ends["log_z"][place], ends["next_interest"][place], own)
            interest, share = why.argmax(axis=1), why.max(axis=1)
        because: list[tuple[str, ...]] = [()] * len(chosen)
        if reasons:
            because = _because(model, part.take(np.array([place])), log_p[place], chosen, reasons)
        yield _List(int(row), chosen, np.exp(log_p[place, chosen]), interest, share, because)


def _ends(model: Scores, part: Histories, policy: Policy) -> dict[str, Any]:
    """What a list needs of a model; a baseline has scores alone."""
    if not isinstance(model, _Explains):
        if policy.expected:
            raise ValueError("a baseline predicts no interest points: leave expected=… out of the policy")
        return {"log_p": model.score(part)}
    through = ("log_z", "next_interest") if model.config.through_interests else ()
    return model.outputs(part, ("log_p", "interest_logits", *through))


def _policy_scores(
    ends: Mapping[str, Any], log_p: FloatArray, names: Catalogue, part: Histories, policy: Policy
) -> FloatArray:
    """The scores `(n, N)` that lists are made by."""
    if not policy.profile and not policy.expected:
        return log_p
    none = np.zeros((len(part), len(names.interests)))
    ahead = 1 / (1 + np.exp(-ends.get("interest_logits", none).astype(np.float64)))
    return adjusted(log_p, names.item_interests, policy, interest_shares(part), ahead)


def _because(
    model: Scores, history: Histories, log_p: FloatArray, chosen: NDArray[np.int64], reasons: int
) -> list[tuple[str, ...]]:
    """For each chosen item the events of a history whose removal lowers its score most."""
    length = len(history.item)
    if not length:
        return [() for _ in chosen]
    events = np.arange(max(0, length - LATEST), length)
    lacking = model.score(without_each(history, events))[:, chosen]
    loss = log_p[chosen][None] - lacking
    order = np.argsort(-loss, axis=0, kind="stable")[:reasons]
    items = model.catalogue.items
    return [
        tuple(items[history.item[events[e]]] for e in order[:, place] if loss[e, place] > 0)
        for place in range(len(chosen))
    ]
