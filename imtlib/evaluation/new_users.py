"""New users (新用户冷启动): some are kept out of all that is learnt, and then asked about.

After how many events does the model know somebody? ::

    new = hold_out_users(log)
    model = imt.InterestMigrationModel.for_log(new.split.train, use_profile=True)
    imt.fit(model, new.split)
    [imt.evaluate(model, new.after(k)) for k in (0, 1, 2, 5, 10)]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imtlib.data.histories import EvaluationSet
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import LogError
from imtlib.types import TimeArray


@dataclass(frozen=True, eq=False)
class NewUsers:
    """A log some of whose users are new.

    Attributes:
        log: the whole log.
        users: the new ones, codes in ascending order, int64 `(n,)`.
        split: `leave_one_out` of the events of all others. Catalogue and users stay whole.
        longest: after how many events, at most, a new user can be asked about.
    """

    log: BehaviourLog
    users: TimeArray
    split: Split
    longest: int

    def after(self, events: int) -> EvaluationSet:
        """Ask about every new user after the first `events` events; the one that came next is the answer.

        The users are the same after any number, so that figures along the numbers can be compared.

        Args:
            events: k, from 0 to `longest`.

        Raises:
            ValueError: k is outside.
        """
        if not 0 <= events <= self.longest:
            raise ValueError(f"events={events} is outside 0 … {self.longest}: hold_out_users(longest=…)")
        rows = self.log.starts[self.users] + events
        users = self.users.astype(np.int32)
        return EvaluationSet(
            self.log.histories_before(rows), self.log.item[rows], users, f"after {events} events"
        )

    def first_events(self, events: int) -> BehaviourLog:
        """Keep the first events of the new users alone: all there is to learn from, if nobody else is known.

        Args:
            events: k, of each of them, from 1 to `longest`.

        Raises:
            ValueError: k is outside.
        """
        if not 1 <= events <= self.longest:
            raise ValueError(f"events={events} is outside 1 … {self.longest}: hold_out_users(longest=…)")
        return self.log.filter(np.isin(self.log.user, self.users) & (self.log.place < events))


def hold_out_users(log: BehaviourLog, share: float = 0.1, longest: int = 10, seed: int = 0) -> NewUsers:
    """Keep a share of the users, with all their events, out of what is learnt from.

    The others' events are there whatever their time: it is asked what the model makes of somebody new, not of
    the future. For that there is `time_split`.

    Args:
        log: the whole log.
        share: of the users with more than `longest` events, how many become new ones.
        longest: after how many events, at most, they will be asked about.
        seed: of the draw.

    Raises:
        LogError: no user would be new.
        ValueError: `share` is not between 0 and 1, or `longest` is negative.
    """
    if not 0 < share < 1 or longest < 0:
        raise ValueError(
            f"share={share} must lie between 0 and 1, and longest={longest} must not be negative"
        )
    enough = np.flatnonzero(log.lengths > longest)
    many = round(share * len(enough))
    if many == 0:
        raise LogError(
            f"{len(enough):,} users have more than {longest} events: with share={share} none becomes new"
        )
    users = np.sort(np.random.default_rng([seed, 43]).choice(enough, many, replace=False))
    split = leave_one_out(log.filter(~np.isin(log.user, users)))
    note = f"{many:,} users are new: none of their events is there to learn from."
    return NewUsers(log, users, split.derive(*(log.users[u] for u in users), note=note), longest)
