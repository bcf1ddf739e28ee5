"""The interest graph (兴趣图谱): how often one interest follows another, held against chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imtlib.data.catalogue import Catalogue
from imtlib.data.log import BehaviourLog
from imtlib.types import FloatArray

CHUNK = 262_144
"""Steps that are counted at a time."""


@dataclass(frozen=True, eq=False)
class InterestGraph:
    """Migrations between interests, counted and held against chance.

    Attributes:
        catalogue: names; its interests are the nodes.
        steps: $n_{y,y'}$, how many steps led from interest y to y', float64 `(K, K)`; no whole numbers, as
            an event of several interests is spread evenly over them.
        lift: observed over expected, float64 `(K, K)`; NaN where none is expected.
        steps_between: the same counts by the scenarios of both events, float64 `(S, S, K, K)`.
        lift_between: the lift within each pair of scenarios, float64 `(S, S, K, K)`.
    """

    catalogue: Catalogue
    steps: FloatArray
    lift: FloatArray
    steps_between: FloatArray
    lift_between: FloatArray


def interest_graph(log: BehaviourLog) -> InterestGraph:
    r"""Count the steps between consecutive events of each user, and hold them against chance.

    $$n_{y,y'} = \sum_t \frac{[y \in G(i_t)]}{|G(i_t)|} \frac{[y' \in G(i_{t+1})]}{|G(i_{t+1})|}, \qquad
    \text{lift}_{y,y'} = \frac{n_{y,y'} \, n}{n_{y,\cdot} \, n_{\cdot,y'}}.$$

    A lift of 1 is chance: the two interests are found one after the other as often as if all steps'
    ends were drawn at random.

    Args:
        log: the events; all of them count, so give the training part where a test follows.

    Returns:
        The graph over all steps, and for each ordered pair of scenarios.
    """
    names = log.catalogue
    kinds, places = len(names.interests), len(names.scenarios)
    counts = np.zeros(places * places * kinds * kinds)
    source = np.flatnonzero(log.user[1:] == log.user[:-1])
    for begin in range(0, len(source), CHUNK):  # a piece at a time, so that memory stays small
        start = source[begin : begin + CHUNK]
        step, leaving, left = names.spread(log.item[start])
        entry, arriving, share = names.spread(log.item[start + 1][step])
        pair = log.scenario[start].astype(np.int64) * places + log.scenario[start + 1]
        cell = (pair[step[entry]] * kinds + leaving[entry]) * kinds + arriving
        counts += np.bincount(cell, left[entry] * share, minlength=len(counts))
    between = counts.reshape(places, places, kinds, kinds)
    steps = between.sum(axis=(0, 1))
    return InterestGraph(names, steps, _lift(steps), between, _lift(between))


def _lift(steps: FloatArray) -> FloatArray:
    leaving, arriving = steps.sum(axis=-1, keepdims=True), steps.sum(axis=-2, keepdims=True)
    expected = leaving * arriving
    total = steps.sum(axis=(-2, -1), keepdims=True)
    lift: FloatArray = np.divide(steps * total, expected, out=np.full_like(steps, np.nan), where=expected > 0)
    return lift
