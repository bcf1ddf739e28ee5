"""The log: who did what, where and when, and what was known before each event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd

from imtlib.data.events import Events, windows
from imtlib.data.histories import Histories
from imtlib.data.times import seconds
from imtlib.errors import LogError, UnknownNameError
from imtlib.types import BoolArray, Float32Array, IntArray, TimeArray


@dataclass(frozen=True, eq=False, repr=False)
class BehaviourLog(Events):
    """Every event of every user, grouped by user and, within a user, in order of time.

    Events of one second keep the order in which they were given (a stable sort).

    Attributes:
        catalogue, starts, item, scenario, behaviour, time: the n events, a row for each user.
        users: names of the U users.
        item_features: one row an item, in the order of `catalogue.items`, which is its index.
        user_features: one row a user, in the order of `users`, which is its index.
        notes: what was dropped or changed on the way, and why, one sentence each.
    """

    users: tuple[str, ...]
    item_features: pd.DataFrame
    user_features: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.item)

    def __repr__(self) -> str:
        names = self.catalogue
        counts = (
            f"BehaviourLog: {len(self):,} events, {len(self.users):,} users, {len(names.items):,} items, "
            f"{len(names.interests):,} interests, {len(names.scenarios):,} scenarios, "
            f"{len(names.behaviours):,} behaviours"
        )
        return "\n".join([counts, *(f"  note: {note}" for note in self.notes)])

    @cached_property
    def user(self) -> IntArray:
        """Whose event each one is: codes in `users`, int32 `(n,)`."""
        return self.owner.astype(np.int32)

    @cached_property
    def _user_codes(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.users)}

    def user_code(self, user: object) -> int:
        """Find the place of a user in `users`.

        Args:
            user: the name, used as `str(user)`.

        Raises:
            UnknownNameError: no user of this log has the name.
        """
        try:
            return self._user_codes[str(user)]
        except KeyError:
            raise UnknownNameError(
                f"unknown user {str(user)!r}: the log holds {len(self.users):,} users, such as "
                f"{list(self.users[:3])}. Names are compared as text, exactly; for somebody who is not in "
                f"the log, give the events as a history instead."
            ) from None

    def to_frame(self) -> pd.DataFrame:
        """List the events as a table, in each user's order.

        Returns:
            One row an event; columns user, item, scenario, behaviour (text) and time (int64, seconds since
            1970).
        """
        return self._frame(slice(0, len(self)))

    def events_of(self, user: object) -> pd.DataFrame:
        """List the events of one user, in order; columns as those of `to_frame`.

        Args:
            user: the user's name.

        Raises:
            UnknownNameError: no user of this log has the name.
        """
        code = self.user_code(user)
        return self._frame(slice(int(self.starts[code]), int(self.starts[code + 1])))

    def _frame(self, rows: slice) -> pd.DataFrame:
        names = self.catalogue
        columns = {
            "user": (self.users, self.user),
            "item": (names.items, self.item),
            "scenario": (names.scenarios, self.scenario),
            "behaviour": (names.behaviours, self.behaviour),
        }
        text = {key: np.array(known, object)[codes[rows]] for key, (known, codes) in columns.items()}
        return pd.DataFrame({**text, "time": self.time[rows]})

    def histories_before(self, events: IntArray | TimeArray) -> Histories:
        """Collect what was known just before each of the given events.

        Args:
            events: rows of this log, int `(n,)`.

        Returns:
            n histories: the user's earlier events; the request has the scenario and the time of the event
            itself.
        """
        owners = self.user[events]
        return self._histories(owners, np.asarray(events), self.scenario[events], self.time[events])

    def histories(
        self,
        users: str | int | Iterable[object] | None = None,
        scenario: object = None,
        at: float | str | datetime | None = None,
    ) -> Histories:
        """Collect what is known of users at a moment, a row each.

        Args:
            users: a name, or several; by default everybody, in the order of `users`.
            scenario: where the recommendation is shown; by default that of each user's last event, and for
                somebody without an event the one with most events of the log.
            at: when it is asked for, as `seconds` takes it; by default the time of each user's last event,
                and for somebody without an event that of the log's last. Events up to and including this
                second are the history.

        Raises:
            UnknownNameError: a user or the scenario is not known.
            LogError: the log has no event to take a default from, or `at` is not a moment.
        """
        if users is None:
            owners = np.arange(len(self.users), dtype=np.int32)
        else:
            chosen = [users] if isinstance(users, (str, int, np.integer)) else users
            owners = np.array([self.user_code(user) for user in chosen], np.int32)
        if not len(self) and (at is None or scenario is None):
            raise LogError("the log has no event to take the time and scenario of requests from: give both.")
        first, end = self.starts[owners], self.starts[owners + 1]
        if at is None:
            last = np.where(end > first, self.time[np.maximum(end, 1) - 1], self.time.max())
        else:
            moment = seconds(at)
            last = np.full(len(owners), moment, np.int64)
            earlier = np.concatenate([[0], np.cumsum(self.time <= moment)])
            end = first + earlier[end] - earlier[first]
        if scenario is None:
            usual = np.bincount(self.scenario).argmax()
            where = np.where(end > first, self.scenario[np.maximum(end, 1) - 1], usual).astype(np.int32)
        else:
            where = np.repeat(self.catalogue.codes("scenario", [scenario]), len(owners))
        return self._histories(owners, end, where, last)

    def _histories(self, owners: IntArray, ends: TimeArray, scenario: IntArray, time: TimeArray) -> Histories:
        first = self.starts[owners]
        past = self.gather(*windows(first, ends - first))
        return Histories.of(past, scenario, time, self.profile_vectors(owners))

    @cached_property
    def _categories(self) -> list[IntArray]:
        """Code of each user's category, a feature at a time; −1 where it is missing."""
        found = []
        for feature, known in self.catalogue.user_features.items():
            codes = np.full(len(self.users), -1, np.int32)
            if feature in self.user_features:
                values = self.user_features[feature]
                codes = pd.Index(known).get_indexer(pd.Index(values)).astype(np.int32)
                strange = (codes < 0) & values.notna().to_numpy()
                if strange.any():
                    user = int(strange.argmax())
                    raise UnknownNameError(
                        f"user {self.users[user]!r} has {feature} {values.iloc[user]!r}, which the catalogue "
                        f"does not hold; it holds {list(known[:8])}. Give a category of these, or None where "
                        f"it is not known."
                    )
            found.append(codes)
        return found

    def profile_vectors(self, users: IntArray | TimeArray) -> Float32Array:
        """Encode the given features of users, each a one-hot over its categories in the catalogue.

        Args:
            users: codes in `users`, int `(n,)`.

        Returns:
            float32 `(n, P)`, P the number of categories of all features together; a feature that is missing
            is all zero.

        Raises:
            UnknownNameError: a user has a category that the catalogue does not hold.
        """
        blocks = [np.zeros((len(users), 0), np.float32)]
        for codes, known in zip(self._categories, self.catalogue.user_features.values(), strict=True):
            blocks.append((codes[users, None] == np.arange(len(known))).astype(np.float32))
        return np.concatenate(blocks, axis=1)

    def without_user_features(self) -> BehaviourLog:
        """Forget what is known of the users beside their events: profiles become empty."""
        catalogue = replace(self.catalogue, user_features={})
        return replace(self, catalogue=catalogue, user_features=self.user_features[[]])

    def in_scenarios(self, names: Iterable[object]) -> BehaviourLog:
        """Keep the events in the chosen scenarios, the users who have one, and the whole catalogue.

        Since the catalogue stays whole, a model made for one such log can learn on from another.

        Args:
            names: of the scenarios.

        Raises:
            UnknownNameError: the log has no such scenario.
            LogError: none of them has an event.
        """
        chosen = self.catalogue.codes("scenario", names)
        kept = self.filter(np.isin(self.scenario, chosen))
        if len(kept) == 0:
            raise LogError("no event is left: the chosen scenarios have none.")
        users = kept.lengths > 0
        where = ", ".join(self.catalogue.scenarios[code] for code in chosen)
        left = (~users).sum()
        note = f"Only the events in {where}: {len(kept):,} of {len(self):,}; {left:,} users have none there."
        return replace(kept._without_idle(users), notes=(*self.notes, note))

    def _without_idle(self, users: BoolArray) -> BehaviourLog:
        """The log of the chosen users; the others must have no event."""
        return replace(
            self,
            users=_chosen(self.users, users),
            starts=np.append(self.starts[:-1][users], self.starts[-1]),
            user_features=self.user_features[users],
        )

    def keep_frequent(self, min_events: int) -> BehaviourLog:
        """Leave out rare users and rare items, both counted once, on this log as it stands.

        A user or an item that stays may so be left with fewer events. Names that stay keep their order;
        interests without an item, and scenarios and behaviours without an event, leave with the rest.

        Args:
            min_events: fewest events of a user, and of an item, that stays.

        Raises:
            LogError: nothing would be left.
        """
        users = self.lengths >= min_events
        items = np.bincount(self.item, minlength=len(self.catalogue.items)) >= min_events
        kept = self.filter(users[self.user] & items[self.item])
        if len(kept) == 0:
            raise LogError(f"no event is left when users and items need {min_events} events: ask for fewer.")
        note = (
            f"Left out users and items with fewer than {min_events} events, counted once: "
            f"{(~users).sum():,} users, {(~items).sum():,} items, {len(self) - len(kept):,} events."
        )
        old = self.catalogue
        interests = np.asarray(old.item_interests[items].any(axis=0))
        scenarios = np.bincount(kept.scenario, minlength=len(old.scenarios)) > 0
        behaviours = np.bincount(kept.behaviour, minlength=len(old.behaviours)) > 0
        catalogue = replace(
            old,
            items=_chosen(old.items, items),
            scenarios=_chosen(old.scenarios, scenarios),
            behaviours=_chosen(old.behaviours, behaviours),
            interests=_chosen(old.interests, interests),
            item_interests=old.item_interests[np.ix_(items, interests)],
        )
        return replace(
            kept._without_idle(users),
            catalogue=catalogue,
            item=_renumber(items)[kept.item],
            scenario=_renumber(scenarios)[kept.scenario],
            behaviour=_renumber(behaviours)[kept.behaviour],
            item_features=self.item_features[items],
            notes=(*self.notes, note),
        )


def _chosen(names: tuple[str, ...], keep: BoolArray) -> tuple[str, ...]:
    return tuple(name for name, stays in zip(names, keep, strict=True) if stays)


def _renumber(keep: BoolArray) -> IntArray:
    """New code of each old one; meaningless where it does not stay."""
    return (np.cumsum(keep) - 1).astype(np.int32)
