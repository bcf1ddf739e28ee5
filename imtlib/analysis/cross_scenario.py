"""Migration between scenarios: where an interest in one leads in another, and by how much over chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from imtlib.analysis.transitions import contexts
from imtlib.data.log import BehaviourLog
from imtlib.model import InterestMigrationModel
from imtlib.simulation.truth import Truth
from imtlib.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Between:
    """Transition matrices by the scenario of the last event, a, and that of the request, b; START left out.

    Error bars over models or logs: `imtlib.analysis.transitions.spread([one.matrix, other.matrix])`, and so
        for `lift`.

    Attributes:
        scenarios: names of the S scenarios, in the order of the first two axes.
        contexts: how many contexts there are of each interest y in a before a request in b, float64
            `(S, S, K)`; no whole numbers where the interest is believed and not known.
        matrix: $\\mathbb E[\\pi_T(y' \\mid y) \\mid y, a, b]$ over these contexts, float64 `(S, S, K, K)`;
            each row sums to one, or is NaN where there is no context.
    """

    scenarios: tuple[str, ...]
    contexts: FloatArray
    matrix: FloatArray

    @cached_property
    def chance(self) -> FloatArray:
        """How often each interest comes in b after an event in a, whatever that was about, `(S, S, K)`."""
        weight = self.contexts[..., None]
        came = np.where(weight > 0, weight * self.matrix, 0.0).sum(axis=-2)
        return _share(came, self.contexts.sum(axis=-1, keepdims=True))

    @cached_property
    def lift(self) -> FloatArray:
        """Each migration over `chance`, float64 `(S, S, K, K)`: 1 where the last interest says nothing.

        NaN where there is no context, or no chance. `imtlib.analysis.interest_graph` has the same of counted
        steps.
        """
        return _share(self.matrix, self.chance[..., None, :])

    @cached_property
    def information(self) -> FloatArray:
        """What the last interest says of the next, in nats, float64 `(S, S)`; NaN where there is no context.

        The mutual information of the two, $\\sum_{y,y'} p(y)\\,\\pi(y' \\mid y) \\ln \\text{lift}_{y,y'}$: 0
        where the last interest changes nothing.
        """
        p = _share(self.contexts, self.contexts.sum(axis=-1, keepdims=True))
        logs = np.log(np.where(self.lift > 0, self.lift, 1.0))
        parts = np.where(self.contexts[..., None] > 0, p[..., None] * self.matrix * logs, 0.0)
        return np.where(self.contexts.sum(axis=-1) > 0, parts.sum(axis=(-2, -1)), np.nan)

    @cached_property
    def excess(self) -> FloatArray:
        """Of all steps into another scenario, the share above chance of each migration, `(S, S, K, K)`.

        $p(a, b, y)\\,\\big(\\pi(y' \\mid y) - \\text{chance}(y')\\big)$ for $a \\ne b$, the shares p over all
        such steps; 0 within a scenario. It sums to zero; its positive part sums to the share of steps that
        land elsewhere than they would if the last interest said nothing.
        """
        apart = ~np.eye(len(self.scenarios), dtype=bool)[:, :, None]
        weight = np.where(apart, self.contexts, 0.0)
        share = _share(weight, np.broadcast_to(weight.sum(), weight.shape))[..., None]
        above: FloatArray = np.where(share > 0, share * (self.matrix - self.chance[..., None, :]), 0.0)
        return above


def learnt_between(model: InterestMigrationModel, log: BehaviourLog, batch: int = 64) -> Between:
    """Average migration within and between scenarios, as a model has learnt it, over the contexts of a log.

    Each context counts for an interest as far as the model believes in it.

    A model whose matrix cannot see from which scenario to which a step leads, as by default, shows migrations
    between scenarios that are not there: make it with `matrix_from_state=True` and `sharing="gate"` or
    `"star"`.

    Args:
        model: trained, by way of interests.
        log: whose every event but each user's first is a context. Of a user with more events than the model's
            `max_length`, the last ones.
        batch: users worked on at a time.

    Returns:
        `matrix[a, b]` is `learnt_transition(model, log, b, a)` without START.

    Raises:
        UnknownNameError: an item, scenario or behaviour of the log is not in the model's catalogue.
    """
    names = model.catalogue
    total = _Total(len(names.scenarios), len(names.interests))
    for found in contexts(model, log, batch):
        later = found.current >= 0
        belief, matrix = found.belief[later, :-1].astype(np.float64), found.matrix[later, :-1]
        total.add(found.current[later], found.asked[later], belief, belief[..., None] * matrix)
    return total.mean(names.scenarios)


def true_between(truth: Truth, log: BehaviourLog) -> Between:
    """Average migration as it is in truth, over the contexts of a simulated log, triggers included.

    Args:
        truth: that `simulate` returned.
        log: the whole log that it returned.

    Returns:
        `matrix[a, b]` is `truth.mean_transition(log, b, a)` without START.

    Raises:
        LogError: the log is not the truth's.
    """
    pi, last, before = truth.contexts(log)
    names = log.catalogue
    later = before >= 0
    known = np.eye(len(names.interests))[last[later]]
    total = _Total(len(names.scenarios), len(names.interests))
    total.add(before[later], log.scenario[later], known, known[..., None] * pi[later, None])
    return total.mean(names.scenarios)


class _Total:
    """Sums over contexts, by the scenarios of both ends and the interest that is left."""

    def __init__(self, scenarios: int, interests: int) -> None:
        self.weight = np.zeros((scenarios, scenarios, interests))
        self.moved = np.zeros((scenarios, scenarios, interests, interests))

    def add(self, current: IntArray, asked: IntArray, weight: FloatArray, moved: FloatArray) -> None:
        """Add n contexts: scenarios `(n,)`, weights of the interests `(n, K)`, weighted rows `(n, K, K)`."""
        np.add.at(self.weight, (current, asked), weight)
        np.add.at(self.moved, (current, asked), moved)

    def mean(self, scenarios: tuple[str, ...]) -> Between:
        return Between(scenarios, self.weight, _share(self.moved, self.weight[..., None]))


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """`part / whole`; NaN where the whole is zero."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
