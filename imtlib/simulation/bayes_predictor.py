"""The best possible predictor of a simulated log, exact, and results as a share of what it achieves."""

from __future__ import annotations

import numpy as np

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.simulation.truth import Laws
from imtlib.types import Float32Array, FloatArray, IntArray

BLOCK = 512
"""Histories filtered at a time: it bounds the memory and changes no result."""
LOG_NEVER = -80.0
"""log p of an item that cannot come because it was seen: finite, and too small to matter."""


class BestPredictor:
    """Bayes' rule with the true laws: nothing that sees only the log can have a lower expected log loss.

    Hidden are the persona m and the interest y of each event. The predictor carries $\\alpha_T(m, y)$, the
    probability of both given all that is visible: the group, and of each event scenario, item and behaviour.
    One event further,

    $$\\alpha_{T+1}(m, y') \\propto p(i \\mid y', \\text{seen})\\; p(b \\mid m, y')
    \\sum_y \\alpha_T(m, y)\\, \\pi_{T,m}(y' \\mid y),$$

    $\\pi$ as in `imtlib.simulation.truth.Laws`. Triggers are visible and not used up, so nothing else need be
    carried. Source: the forward recursion of hidden Markov models (Rabiner, 1989).

    Args:
        laws: of the simulation; a `Truth` holds them. With `dataclasses.replace(truth, trigger=0.0)` it is
            the same predictor, blind to triggers.
    """

    def __init__(self, laws: Laws) -> None:
        self._laws = laws
        held = laws.catalogue.item_interests
        self._attraction: FloatArray = np.where(held, laws.popularity[:, None], 0.0)

    @property
    def catalogue(self) -> Catalogue:
        """The simulated items, scenarios and interests."""
        return self._laws.catalogue

    def score(self, histories: Histories) -> Float32Array:
        """Compute log p of the next item.

        Args:
            histories: whole, each from the user's first event on.

        Returns:
            float32 `(n, N)`; −80 for items already seen.

        Raises:
            ModelFileError: the histories' catalogue is not the simulated one.
        """
        blocks = [np.zeros((0, len(self.catalogue.items)), np.float32)]
        for part in self._blocks(histories):
            everyone, item = np.arange(len(part)), part.padded(part.item)
            mass = self._mass(item)[everyone, part.lengths]
            p = (self._next(part) / mass) @ self._attraction.T
            row, place = np.nonzero(item >= 0)
            p[row, item[row, place]] = 0.0
            blocks.append(np.log(np.maximum(p, np.exp(LOG_NEVER))).astype(np.float32))
        return np.concatenate(blocks)

    def next_interest(self, histories: Histories) -> FloatArray:
        """Compute p(next interest | history), float `(n, K)`; arguments and errors as in `score`."""
        empty = np.zeros((0, len(self.catalogue.interests)))
        return np.concatenate([empty, *(self._next(part) for part in self._blocks(histories))])

    def persona(self, histories: Histories) -> FloatArray:
        """Compute p(persona | history), float `(n, M)`; arguments and errors as in `score`."""
        empty = np.zeros((0, len(self._laws.affinity)))
        parts = (self._filtered(part)[0].sum(axis=2) for part in self._blocks(histories))
        return np.concatenate([empty, *parts])

    def current_interest(self, histories: Histories) -> FloatArray:
        """Compute p(interest of the last event | history), float `(n, K)`; a row is zero where there is none.

        Arguments and errors as in `score`.
        """
        empty = np.zeros((0, len(self.catalogue.interests)))
        parts = (self._filtered(part)[1].sum(axis=1) for part in self._blocks(histories))
        return np.concatenate([empty, *parts])

    def _blocks(self, histories: Histories) -> list[Histories]:
        fix = "The best predictor knows its own world alone: give the truth that simulate() returned with it."
        self.catalogue.require_same(histories.catalogue, "the truth", "the histories", fix)
        return [histories.take(slice(s, s + BLOCK)) for s in range(0, len(histories), BLOCK)]

    def _next(self, histories: Histories) -> FloatArray:
        interest: FloatArray = self._filtered(histories)[0].sum(axis=1)
        return interest

    def _filtered(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        """p(persona, interest | history), of the next event and of the last one, each `(n, M, K)`."""
        laws, length = self._laws, histories.lengths
        item, behaviour = histories.padded(histories.item), histories.padded(histories.behaviour)
        scenario = np.pad(histories.padded(histories.scenario), ((0, 0), (0, 1)))
        scenario[np.arange(len(length)), length] = histories.request_scenario
        changed = np.diff(scenario, axis=1, prepend=scenario[:, :1]) != 0
        pull, left, mass = laws.pull(item), laws.left(item), self._mass(item)
        # α over the persona and the interest of the last event; its last column is START.
        alpha = np.zeros((len(length), *laws.rows.shape[2:4]))
        alpha[:, :, -1] = self._personas(histories.profile)
        ahead = np.zeros((len(length), *laws.affinity.shape))
        for t in range(item.shape[1] + 1):
            now = np.flatnonzero(length >= t)
            rows = laws.rows[changed[now, t].astype(int), scenario[now, t]]
            pi = laws.migrate(rows, pull[now, t, None, None], left[now, t, None, None])
            ahead[now] = np.einsum("nmy,nmyk->nmk", alpha[now], pi)
            on = now[length[now] > t]
            if len(on):
                drawn = self._attraction[item[on, t]] / mass[on, t]
                seen = ahead[on] * drawn[:, None] * laws.behaviour[:, :, behaviour[on, t]].transpose(2, 0, 1)
                alpha[on, :, :-1] = seen / seen.sum(axis=(1, 2), keepdims=True)
                alpha[on, :, -1] = 0.0
        return ahead, alpha[:, :, :-1]

    def _mass(self, item: IntArray) -> FloatArray:
        """Popularity of each interest's unseen items before each event, `(n, T + 1, K)`; 1 if none left."""
        gone = np.cumsum(np.where(item[..., None] >= 0, self._attraction[item], 0.0), axis=1)
        mass = self._attraction.sum(axis=0) - np.pad(gone, ((0, 0), (1, 0), (0, 0)))
        return np.where(self._laws.left(item) > 0, mass, 1.0)

    def _personas(self, profile: Float32Array) -> FloatArray:
        """p(persona | group), `(n, M)`; personas are equally frequent, a profile of zeros says nothing."""
        known = profile.sum(axis=1, keepdims=True) > 0
        likelihood = np.where(known, profile @ self._laws.group.T, 1.0)
        share: FloatArray = likelihood / likelihood.sum(axis=1, keepdims=True)
        return share


def share_of_achievable(model: float, floor: float, best: float) -> float:
    """Compute (model − floor) / (best − floor): 0 at the floor, 1 at the best possible; for any metric.

    Args:
        model: the metric of the model.
        floor: that of the baseline which any model must beat.
        best: that of `BestPredictor`.

    Returns:
        The share; NaN when best and floor are equal.
    """
    return (model - floor) / (best - floor) if best != floor else float("nan")
