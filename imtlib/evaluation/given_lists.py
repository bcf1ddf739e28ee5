"""Lists that another system has made, evaluated as a model's own are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imtlib.data.histories import EvaluationSet
from imtlib.data.log import BehaviourLog
from imtlib.errors import LogError, require_kind
from imtlib.evaluation.ranking import Report
from imtlib.types import IntArray

LENGTHS = (1, 5, 10, 20)


def evaluate_lists(
    lists: pd.DataFrame,
    part: EvaluationSet,
    log: BehaviourLog | None = None,
    *,
    ks: Sequence[int] | None = None,
    user: str = "user",
    item: str = "item",
    rank: str = "rank",
) -> Report:
    """Compare lists by name, one for each request of a part, with what came next.

    The lists must be made from what is known at the requests, `part.histories`: a list that is made from the
    whole log knows the answer already, and leaves it out as an item that was seen.

    Args:
        lists: one row an item, such as `recommend` gives or another system writes. It names the user; or the
            request, by its number in the part, in a column `request`.
        part: requests whose answer is known.
        log: whose users the part's requests are of; not needed where the lists have `request`.
        ks: lengths of the lists; none may be longer than the shortest list. By default those of 1, 5, 10 and
            20 that no list is too short for.
        user, item, rank: its columns; ranks begin at 1.

    Returns:
        The report. A target that is in no list has an infinite rank, so the mean reciprocal rank is that of
        the lists as they are; the log loss is not known. A warning counts items that the catalogue lacks.

    Raises:
        LogError: a column is missing; a request has no list, or a list is too short, or holds a rank twice;
            or no item of the lists is in the catalogue.
    """
    require_kind(lists, pd.DataFrame, "give a table with a row an item of a list")
    require_kind(part, EvaluationSet, "give a split's test or valid part, split.test")
    by_request = "request" in lists.columns and user not in lists.columns
    for column in (item, rank) if by_request else (user, item, rank):
        if column not in lists.columns:
            raise LogError(f"the lists have no column {column!r}; they have {list(lists.columns)}.")
    code = _codes(lists[item], part)
    owner = _requests(lists["request"] if by_request else lists[user], part, log, by_request)
    order = lists[rank].to_numpy(np.int64)
    ks = _lengths(owner, order, part, ks)
    mine = np.full((len(part), max(ks)), -1, np.int32)
    kept = (owner >= 0) & (order <= max(ks))
    mine[owner[kept], order[kept] - 1] = code[kept]
    hit = mine == part.target[:, None]
    found = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1.0, np.inf)
    scenario, names = part.histories.request_scenario, part.histories.catalogue
    shown = np.zeros((len(names.scenarios), len(ks), len(names.items)), np.bool_)
    for length, k in enumerate(ks):
        for where in np.unique(scenario):
            listed = mine[scenario == where, :k]
            shown[where, length, listed[listed >= 0]] = True
    loss = np.full(len(part), np.nan)
    return Report(part.name, tuple(ks), names.scenarios, found, loss, part.user, scenario, shown)


def _codes(items: pd.Series[Any], part: EvaluationSet) -> IntArray:
    """Codes of the listed items, −1 where the catalogue has none of the name."""
    names = part.histories.catalogue
    code = names.find("item", items)
    unknown = code < 0
    if unknown.all():
        raise LogError(
            f"no item of the lists is in the catalogue: they are such as {items.iloc[0]!r} there and "
            f"{names.items[0]!r} here. Write both the same way."
        )
    if unknown.any():
        text = (
            f"{unknown.sum():,} of {len(items):,} rows of the lists name an item that the catalogue lacks, "
            f"such as {items.iloc[int(unknown.argmax())]!r}: they count as misses."
        )
        warnings.warn(text, stacklevel=3)
    return code


def _requests(
    column: pd.Series[Any], part: EvaluationSet, log: BehaviourLog | None, by_request: bool
) -> NDArray[np.int64]:
    """The request that each row of the lists is about, −1 for none of the part."""
    if by_request:
        number = column.to_numpy(np.int64)
        return np.where((number >= 0) & (number < len(part)), number, -1)
    if log is None:
        raise LogError("the lists name users: give the log that the part's requests are of.")
    place = {log.users[code]: row for row, code in enumerate(part.user)}
    return np.array([place.get(str(name), -1) for name in column], np.int64)


def _lengths(
    owner: NDArray[np.int64], order: NDArray[np.int64], part: EvaluationSet, ks: Sequence[int] | None
) -> Sequence[int]:
    """The lengths that are asked for, if all lists reach them."""
    if (order < 1).any():
        row = int((order < 1).argmax())
        raise LogError(f"row {row + 1} of the lists has rank {order[row]}: count from 1.")
    twice = pd.DataFrame({"owner": owner, "rank": order})[owner >= 0].duplicated()
    if twice.any():
        rank = order[owner >= 0][int(twice.to_numpy().argmax())]
        raise LogError(f"a list has two items of rank {rank}: count each list from 1 on.")
    length = np.bincount(owner[owner >= 0], minlength=len(part))
    ks = ks or [k for k in LENGTHS if k <= length.min()] or [1]
    short = np.flatnonzero(length < max(ks))
    if len(short):
        raise LogError(
            f"{len(short):,} of {len(part):,} requests have fewer than {max(ks)} items in the lists, such as "
            f"request {short[0]} with {length[short[0]]}: give longer lists, or smaller ks."
        )
    return ks
