"""Splits: what a model may learn from, and the requests it is then asked about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from imtlib.data.histories import EvaluationSet
from imtlib.data.log import BehaviourLog
from imtlib.data.times import as_date, seconds
from imtlib.errors import LogError, require_kind
from imtlib.types import IntArray, TimeArray

TRAIN, VALID, TEST, HISTORY_ONLY = range(4)


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """A log in three parts.

    Attributes:
        train: the events to learn from, with all users and the whole catalogue.
        valid, test: requests and what came next. The history of a test request holds the events of the
            validation period, also the target of the validation.
        hash: SHA-256, in hex, over the names, scenario, behaviour and time of every event in order, and the
            part each is in: two splits with one hash are the same split.
        notes: who or what is left out, one sentence each.
    """

    train: BehaviourLog
    valid: EvaluationSet
    test: EvaluationSet
    hash: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = (
            f"Split: {len(self.train):,} events to learn from, {len(self.valid):,} validation requests, "
            f"{len(self.test):,} test requests; hash {self.hash[:12]}…"
        )
        return "\n".join([counts, *(f"  note: {note}" for note in self.notes)])

    def derive(self, *names: str, note: str, separator: str = "\x1f") -> Split:
        """Mark a split whose parts were changed: a hash of its own, and a note.

        Args:
            *names: what distinguishes it from this split, and from others made in the same way.
            note: what is left out, one sentence.
            separator: what stands between this hash and the names where they are hashed.

        Returns:
            The same parts. The hash is the SHA-256, in hex, of this split's hash and the names.
        """
        text = separator.join([self.hash, *names])
        return replace(self, hash=hashlib.sha256(text.encode()).hexdigest(), notes=(*self.notes, note))


def leave_one_out(log: BehaviourLog) -> Split:
    """Keep each user's last event for the test, the one before it for validation, the rest to learn from.

    Users' periods overlap, so a model may learn from events later than a test event. A `time_split` beside it
    shows what that is worth.

    Args:
        log: the whole log. Users with fewer than three events stay in the training part.

    Raises:
        LogError: no user has three events.
    """
    require_kind(log, BehaviourLog, "give what read_log or load_dataset returns")
    count = log.lengths
    last = log.starts[1:][count >= 3] - 1
    if len(last) == 0:
        raise LogError("no user has three events, which leaving one out for test and validation needs.")
    few = int((count < 3).sum())
    notes = (f"{few:,} users with fewer than 3 events are in the training part only.",) if few else ()
    role = np.full(len(log), TRAIN, np.int8)
    return _split(log, role, last - 1, last, notes)


def time_split(
    log: BehaviourLog, at: float | str | datetime, valid_at: float | str | datetime | None = None
) -> Split:
    """Learn from what happened before a moment; each user's first event from then on is the test.

    Args:
        log: the whole log.
        at: where the test begins: seconds since 1970, a datetime or an ISO 8601 text (UTC); or, between 0 and
            1, the share of all events that come before it.
        valid_at: where the validation begins, in the same forms; by default so that a tenth of the events
            before `at` come from then on.

    Returns:
        Training: the events before `valid_at`. Validation: the first event in the validation period of each
        user with an event before it. Test: the first event from `at` on of each user with an event before
        `at`. A history is every earlier event of the user.

    Raises:
        LogError: a part would be empty, or `valid_at` is not before `at`.
    """
    require_kind(log, BehaviourLog, "give what read_log or load_dataset returns")
    if len(log) == 0:
        raise LogError("the log holds no event, so there is nothing to split.")
    ordered = np.sort(log.time)
    test_from = _moment(ordered, at)
    before = ordered[ordered < test_from]
    if len(before) == 0:
        raise LogError(f"no event lies before {at!r}: the log goes from {_span(ordered)}.")
    valid_from = _moment(before, 0.9) if valid_at is None else _moment(ordered, valid_at)
    if valid_from >= test_from:
        raise LogError(f"valid_at, {as_date(valid_from)}, must lie before at, {as_date(test_from)}.")
    valid, late = _first_from(log, valid_from, test_from)
    test, new = _first_from(log, test_from, None)
    role = np.where(log.time < valid_from, TRAIN, HISTORY_ONLY).astype(np.int8)
    for name, part in (("learn from", role[role == TRAIN]), ("test on", test), ("validate on", valid)):
        if len(part) == 0:
            raise LogError(
                f"nothing to {name} with validation from {as_date(valid_from)} and test from "
                f"{as_date(test_from)}: the log "
                f"goes from {_span(ordered)}, and a request needs a user with an event on either side."
            )
    unused = int((role == HISTORY_ONLY).sum()) - len(valid) - len(test)
    facts = {
        "users have their first event in the validation period, and are not asked about in it.": late,
        "users have their first event in the test period, and are not asked about in it.": new,
        "later events are no target: a user is asked once a period, and only with an event before.": unused,
    }
    notes = tuple(f"{number:,} {fact}" for fact, number in facts.items() if number)
    return _split(log, role, valid, test, notes)


def _moment(ordered: TimeArray, at: float | str | datetime) -> int:
    """Seconds since 1970; a share of the events becomes the time of the first event after it."""
    if isinstance(at, float) and 0 < at < 1:
        return int(ordered[min(int(np.ceil(at * len(ordered))), len(ordered) - 1)])
    return seconds(at)


def _span(ordered: TimeArray) -> str:
    return f"{as_date(ordered[0])} to {as_date(ordered[-1])}"


def _first_from(log: BehaviourLog, begin: int, end: int | None) -> tuple[TimeArray, int]:
    """Each user's first event in a period, if one came earlier; and how many have one, but none earlier."""
    earlier = np.concatenate([[0], np.cumsum(log.time < begin)])
    first = log.starts[:-1] + earlier[log.starts[1:]] - earlier[log.starts[:-1]]
    inside = first < log.starts[1:]
    if end is not None:
        inside[inside] = log.time[first[inside]] < end
    known = first > log.starts[:-1]
    return first[inside & known], int((inside & ~known).sum())


def _split(
    log: BehaviourLog, role: NDArray[np.int8], valid: TimeArray, test: TimeArray, notes: tuple[str, ...]
) -> Split:
    role[valid], role[test] = VALID, TEST
    asked = _part(log, valid, "valid"), _part(log, test, "test")
    return Split(log.filter(role == TRAIN), *asked, digest(log, role), (*notes, *_repeats(asked)))


def _repeats(parts: tuple[EvaluationSet, ...]) -> list[str]:
    """How many requests ask for what their user has met before, if any does."""
    return [
        f"{part.seen_targets.sum():,} of {len(part):,} {part.name} requests ask for an item that the user "
        f"has met before: evaluate(…, seen=True) ranks such items too, and without it they are misses."
        for part in parts
        if part.seen_targets.any()
    ]


def _part(log: BehaviourLog, events: TimeArray, name: str) -> EvaluationSet:
    return EvaluationSet(log.histories_before(events), log.item[events], log.user[events], name)


def digest(log: BehaviourLog, role: NDArray[np.int8]) -> str:
    """Compute the SHA-256, in hex, of events and the part each is in.

    Over names, not codes, so that the order of a vocabulary does not matter.

    Args:
        log: the events.
        role: of each, `TRAIN`, `VALID`, `TEST` or `HISTORY_ONLY`, int8 `(events,)`.
    """
    found = hashlib.sha256()
    names = log.catalogue
    columns: list[tuple[tuple[str, ...], IntArray]] = [
        (log.users, log.user),
        (names.items, log.item),
        (names.scenarios, log.scenario),
        (names.behaviours, log.behaviour),
    ]
    for known, codes in columns:
        found.update("\x1f".join(np.array(known, object)[codes]).encode() + b"\x1e")
    found.update(log.time.astype("<i8").tobytes())
    found.update(role.tobytes())
    return found.hexdigest()
