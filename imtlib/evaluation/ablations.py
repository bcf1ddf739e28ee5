"""Controls: do given interests help, and does it help to know the scenario? Each takes one of them away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import coo_matrix
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import EvaluationSet
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split

NEAR = 5
"""Events this far apart, at most, count as neighbours."""


def shuffled_interests(catalogue: Catalogue, seed: int) -> Catalogue:
    """Shuffle the sets of interests among the items of a catalogue.

    How many items each interest has, and how many items have one interest, two, three, stays as it was; the
    meaning goes. A gain that survives was none of the interests.

    Args:
        catalogue: of the log.
        seed: of the shuffle.
    """
    order = np.random.default_rng(seed).permutation(len(catalogue.items))
    return replace(catalogue, item_interests=catalogue.item_interests[order])


def interests_from_behaviour(log: BehaviourLog, seed: int, width: int = 64) -> Catalogue:
    """Make interests of clusters of items that are used near each other; nothing is given.

    Items are described by the positive pointwise mutual information of their neighbours in users' histories,
    reduced to `width` numbers (Levy & Goldberg, NIPS 2014), and clustered by k-means into as many clusters
    as there were interests. An item belongs to its nearest clusters, to as many as it had interests.

    Args:
        log: what may be learnt from: the training part.
        seed: of the reduction and of k-means.
        width: of the description.
    """
    items, kinds = log.catalogue.item_interests.shape
    first, second = [], []
    for gap in range(1, NEAR + 1):
        together = log.user[gap:] == log.user[:-gap]
        first.append(log.item[:-gap][together])
        second.append(log.item[gap:][together])
    one, other = np.concatenate(first + second), np.concatenate(second + first)
    pairs = coo_matrix((np.ones(len(one)), (one, other)), shape=(items, items)).tocsr().tocoo()
    share = np.bincount(one, minlength=items) / len(one)
    lift = pairs.data / len(one) / (share[pairs.row] * share[pairs.col])
    ppmi = coo_matrix((np.log(np.maximum(lift, 1.0)), (pairs.row, pairs.col)), shape=(items, items))
    described = TruncatedSVD(min(width, items - 1), random_state=seed).fit_transform(ppmi.tocsr())
    described /= np.maximum(np.linalg.norm(described, axis=1, keepdims=True), 1e-12)
    distance = KMeans(kinds, n_init=4, random_state=seed).fit(described).transform(described)
    nearness = distance.argsort(axis=1).argsort(axis=1)
    belongs = nearness < log.catalogue.item_interests.sum(axis=1, keepdims=True)
    names = tuple(f"cluster {k}" for k in range(kinds))
    return replace(log.catalogue, interests=names, item_interests=belongs)


def with_interests(split: Split, catalogue: Catalogue) -> Split:
    """Replace the interests of a split; its hash stays, since no event changed.

    Args:
        split: of a log.
        catalogue: that of the log but for the interests.

    Raises:
        ModelFileError: it names other items, scenarios, behaviours or user features.
        ValueError: it names an interest that no item has.
    """
    old = split.train.catalogue
    but_interests = replace(catalogue, interests=old.interests, item_interests=old.item_interests)
    old.require_same(but_interests, "the split", "the interests", "Change the split's own catalogue.")
    empty = np.flatnonzero(~catalogue.item_interests.any(axis=0))
    if len(empty):
        names = [catalogue.interests[k] for k in empty[:8]]
        raise ValueError(f"no item has the interest {names}: leave such interests out of the catalogue")

    def changed(part: EvaluationSet) -> EvaluationSet:
        return replace(part, histories=replace(part.histories, catalogue=catalogue))

    return replace(
        split,
        train=replace(split.train, catalogue=catalogue),
        valid=changed(split.valid),
        test=changed(split.test),
    )


def without_scenarios(split: Split) -> Split:
    """Hide the scenarios of a split: to the model everything happens in one place.

    Every event and every request carries the first scenario's name. Users, items, catalogue and the order of
    the requests stay, and so does the hash, since it is the same split.

    Args:
        split: of a log with several scenarios.
    """

    def pooled(part: EvaluationSet) -> EvaluationSet:
        known = part.histories
        one = replace(
            known,
            scenario=np.zeros_like(known.scenario),
            request_scenario=np.zeros_like(known.request_scenario),
        )
        return replace(part, histories=one)

    train = replace(split.train, scenario=np.zeros_like(split.train.scenario))
    return replace(split, train=train, valid=pooled(split.valid), test=pooled(split.test))
