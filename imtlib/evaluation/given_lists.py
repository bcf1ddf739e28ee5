"""Lists that another system has made, evaluated as a model's own are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from imtlib.data.histories import EvaluationSet
from imtlib.data.log import BehaviourLog
from imtlib.errors import LogError, require_kind
from imtlib.evaluation.ranking import Report


def evaluate_lists(
    lists: pd.DataFrame,
    part: EvaluationSet,
    log: BehaviourLog,
    *,
    ks: Sequence[int] = (1, 5, 10, 20),
    user: str = "user",
    item: str = "item",
    rank: str = "rank",
) -> Report:
    """Compare lists by name, one for each user of a part, with what came next.

    Args:
        lists: one row an item, such as `recommend` gives or another system writes.
        part: requests whose answer is known.
        log: whose users the part's requests are of.
        ks: lengths of the lists; none may be longer than the shortest list of a user that has one.
        user, item, rank: its columns; ranks begin at 1.

    Returns:
        The report. A target that is in no list has an infinite rank, so the mean reciprocal rank is that of
        the lists as they are; the log loss is not known.

    Raises:
        LogError: a column is missing; a request's user has no list, or a list is too short, or holds a rank
            or an item twice; or no item of the lists is in the catalogue.
    """
    require_kind(lists, pd.DataFrame, "give a table with a row an item of a list")
    require_kind(part, EvaluationSet, "give a split's test or valid part, split.test")
    for column in (user, item, rank):
        if column not in lists.columns:
            raise LogError(f"the lists have no column {column!r}; they have {list(lists.columns)}.")
    names = part.histories.catalogue
    code = names.find("item", lists[item])
    if (code < 0).all():
        raise LogError(
            f"no item of the lists is in the catalogue: they are such as {lists[item].iloc[0]!r} there and "
            f"{names.items[0]!r} here. Write both the same way."
        )
    place = {name: row for row, name in enumerate(log.users)}
    owner = np.array([place.get(str(name), -1) for name in lists[user]], np.int64)
    order = lists[rank].to_numpy(np.int64)
    _refuse_unfit(lists, owner, order, part, log, max(ks))
    best = np.full((len(log.users), max(ks)), -1, np.int32)
    kept = (owner >= 0) & (order <= max(ks))
    best[owner[kept], order[kept] - 1] = code[kept]
    mine = best[part.user]
    hit = mine == part.target[:, None]
    found = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1.0, np.inf)
    scenario = part.histories.request_scenario
    shown = np.zeros((len(names.scenarios), len(ks), len(names.items)), np.bool_)
    for length, k in enumerate(ks):
        for where in np.unique(scenario):
            listed = mine[scenario == where, :k]
            shown[where, length, listed[listed >= 0]] = True
    loss = np.full(len(part), np.nan)
    return Report(part.name, tuple(ks), names.scenarios, found, loss, part.user, scenario, shown)


def _refuse_unfit(
    lists: pd.DataFrame, owner: np.ndarray, order: np.ndarray, part: EvaluationSet, log: BehaviourLog, k: int
) -> None:
    if (order < 1).any():
        row = int((order < 1).argmax())
        raise LogError(f"row {row + 1} of the lists has rank {order[row]}: count from 1.")
    twice = pd.DataFrame({"owner": owner, "rank": order})[owner >= 0].duplicated()
    if twice.any():
        row = int(twice.to_numpy().argmax())
        raise LogError(f"a user has two items of rank {order[owner >= 0][row]}: count each list from 1 on.")
    length = np.bincount(owner[(owner >= 0) & (order <= k)], minlength=len(log.users))
    short = np.flatnonzero(length[part.user] < k)
    if len(short):
        who = log.users[part.user[short[0]]]
        raise LogError(
            f"{len(short):,} of {len(part):,} requests are of users with fewer than {k} items, such as "
            f"{who!r} with {length[part.user[short[0]]]}: give longer lists, or smaller ks."
        )
