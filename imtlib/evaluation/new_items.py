"""New items (新物品冷启动): some are kept out of all that is learnt, and then asked for.

There are two questions. Among the whole catalogue, can a new item stand up to those that all know?
And among the new items alone, does the model know which of them is for whom? ::

    new = hold_out_items(log)
    model = imt.InterestMigrationModel.for_log(new.split.train, describe(new.split.train, text=["title"]))
    imt.fit(model, new.split, modality_dropout=0.3)
    imt.evaluate(model, new.requests), imt.evaluate(new.among(model), new.requests)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imtlib.data.histories import EvaluationSet, Histories
from imtlib.data.log import BehaviourLog
from imtlib.data.profile import interest_shares
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import LogError
from imtlib.evaluation.protocols import RestrictToScenario
from imtlib.evaluation.ranking import Scorer
from imtlib.types import BoolArray, FloatArray, IntArray, TimeArray


@dataclass(frozen=True, eq=False)
class NewItems:
    """A log some of whose items are new.

    Attributes:
        items: the new ones, codes in ascending order, int32 `(n,)`.
        split: `leave_one_out` of the events of all other items; its parts ask for known items alone.
        requests: each user's last event of a new item. The history is what the user did before with known
            items. As in leaving one out, later events of the same and of other users are there to learn from.
    """

    items: IntArray
    split: Split
    requests: EvaluationSet

    def among(self, model: Scorer) -> RestrictToScenario:
        """Restrict a model to the new items, so that it ranks these alone."""
        names = model.catalogue
        belongs = np.zeros((len(names.scenarios), len(names.items)), np.bool_)
        belongs[:, self.items] = True
        return RestrictToScenario(model, belongs)


def hold_out_items(log: BehaviourLog, share: float = 0.1, least: int = 20, seed: int = 0) -> NewItems:
    """Keep a share of the items, with all their events, out of what is learnt from.

    Args:
        log: the whole log.
        share: of the items with at least `least` events, how many become new ones.
        least: events that an item must have, so that a new one is asked for.
        seed: of the draw.

    Returns:
        The new items, the split of what is left, and the requests for new items. The catalogue stays whole.

    Raises:
        LogError: no item would be new, or no request for one has a history.
        ValueError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share={share} is not between 0 and 1")
    count = np.bincount(log.item, minlength=len(log.catalogue.items))
    enough = np.flatnonzero(count >= least)
    many = round(share * len(enough))
    if many == 0:
        raise LogError(f"{len(enough):,} items have {least} events: with share={share} none becomes new.")
    items = np.sort(np.random.default_rng(seed).choice(enough, many, replace=False)).astype(np.int32)
    new = np.isin(log.item, items)
    split = leave_one_out(log.filter(~new))
    note = f"{many:,} items are new: their {int(new.sum()):,} events are not there to learn from."
    split = split.derive(*(log.catalogue.items[i] for i in items), note=note)
    last = _last_of_each_user(log, new)
    before = log.histories_before(last)
    histories = before.filter(~np.isin(before.item, items))
    requests = EvaluationSet(histories, log.item[last], log.user[last], "new items")
    some = np.flatnonzero(histories.lengths > 0)
    if len(some) == 0:
        raise LogError("no request for a new item has a known item before it: hold out fewer items.")
    return NewItems(items, split, requests.take(some))


def _last_of_each_user(log: BehaviourLog, chosen: BoolArray) -> TimeArray:
    """The last chosen event of each user who has one: rows of the log."""
    rows = np.flatnonzero(chosen)
    owner = log.user[rows]
    last = np.append(owner[1:] != owner[:-1], [True] * bool(len(rows)))
    return rows[last]


class InterestsAlone:
    """The floor that content has to beat: items of the interests that a user had, all others equal.

    $$p(i) \\propto \\sum_{y \\in G(i)} \\frac{s_y + \\epsilon}{|\\{j : y \\in G(j)\\}|},$$

    s as `imtlib.data.profile.interest_shares` has it. Items with the same interests tie.

    Args:
        log: for its catalogue; its events are not counted.
    """

    def __init__(self, log: BehaviourLog) -> None:
        self.catalogue = log.catalogue

    def score(self, histories: Histories) -> FloatArray:
        """Score the next item.

        Args:
            histories: n histories of the log's catalogue.

        Returns:
            log p, float64 `(n, N)`.

        Raises:
            ModelFileError: the histories' catalogue is not the log's.
        """
        fix = "Make the floor for this log."
        self.catalogue.require_same(histories.catalogue, "the log", "the histories", fix)
        held = self.catalogue.item_interests.astype(np.float64)
        evenly = held / np.maximum(held.sum(axis=0), 1.0)
        chance = (interest_shares(histories) + 1e-6) @ evenly.T
        score: FloatArray = np.log(chance / chance.sum(axis=1, keepdims=True))
        return score


def chance_of_hit(requests: EvaluationSet, k: int, candidates: IntArray | None = None) -> float:
    """Compute HR@k of a list in random order: the mean over requests of k over the items that are ranked.

    Args:
        requests: with histories of known items.
        k: length of the list.
        candidates: codes of the items that are ranked, none of them in a history; by default all unseen ones.
    """
    histories = requests.histories
    if candidates is not None:
        return min(1.0, k / len(candidates))
    pairs = np.unique(np.stack([histories.owner, histories.item]), axis=1)
    seen = np.bincount(pairs[0], minlength=len(requests))
    return float(np.minimum(1.0, k / (len(histories.catalogue.items) - seen)).mean())
