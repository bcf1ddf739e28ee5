"""The truth behind a simulated log: the laws by which interests migrate, and what was hidden."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.log import BehaviourLog
from imtlib.errors import LogError
from imtlib.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Laws:
    """The process that writes simulated logs. Row K of a matrix is START: no event yet.

    The interest $y'$ of the next event, in scenario $s'$, of a user with persona m whose last interest was y:

    $$\\pi_T(y' \\mid y) \\propto \\big[(1 - \\lambda a_T)\\, R_{y,y'} + \\lambda\\, u_T(y')\\big]
    \\cdot [\\text{an item of } y' \\text{ is unseen}],$$

    with $R$ from `rows`, the pull of the triggers in the history
    $u_T(y') = \\sum w(\\text{lag})\\,[y' = \\text{effect}] \\big/ \\max(1, \\sum w(\\text{lag}))$, and
    $a_T = \\sum_{y'} u_T(y')$. No trigger is used up. Then an item is drawn among the unseen ones of $y'$
    by `popularity`, and a behaviour by `behaviour`. The scenarios are a visible chain; the times carry no
    interest.

    Attributes:
        catalogue: names and interests of the items.
        matrix: $P_{s'}$, float `(S, K + 1, K)`.
        affinity: how much each persona likes each interest, positive float `(M, K)`.
        group: p(group | persona), float `(M, groups)`.
        behaviour: p(behaviour | persona, interest), float `(M, K, behaviours)`.
        popularity: of the items, positive float `(N,)`.
        effect: the interest that an item triggers, codes, int32 `(N,)`; −1 for most, which trigger none.
        lag_weights: w, float `(L,)`; place l is for a trigger that lies l + 1 events before the next event.
        trigger: λ, from 0 to below 1.
        migration: from 0 to 1, how much of the last interest survives a change of scenario.
    """

    catalogue: Catalogue
    matrix: FloatArray
    affinity: FloatArray
    group: FloatArray
    behaviour: FloatArray
    popularity: FloatArray
    effect: IntArray
    lag_weights: FloatArray
    trigger: float
    migration: float

    @cached_property
    def rows(self) -> FloatArray:
        """$R$, float `(2, S, M, K + 1, K)`; place 1 of the first axis is for a scenario that just changed.

        $P_{s',m}[y, y'] \\propto P_{s'}[y, y'] \\cdot \\text{affinity}_m[y']$: the persona's tilt.
        After a change of scenario a row is migration · $P_{s',m}[y]$ + (1 − migration) · $P_{s',m}$[START].
        """
        tilted = self.matrix[:, None] * self.affinity[None, :, None]
        tilted = tilted / tilted.sum(axis=-1, keepdims=True)
        changed = self.migration * tilted + (1 - self.migration) * tilted[:, :, -1:]
        both: FloatArray = np.stack([tilted, changed])
        return both

    def pull(self, item: IntArray) -> FloatArray:
        """Compute $u_T$ before each event and after the last one.

        Args:
            item: codes, int `(n, T)`; −1 where there is no event.

        Returns:
            float `(n, T + 1, K)`; place t looks back on the events 0 to t − 1.
        """
        kinds = np.eye(self.matrix.shape[-1])
        shown = np.where((item >= 0) & (self.effect[item] >= 0), self.effect[item], -1)
        raised = np.where(shown[..., None] >= 0, kinds[shown], 0.0)
        n, length, _ = raised.shape
        pull = np.zeros((n, length + 1, len(kinds)))
        for back, weight in enumerate(self.lag_weights[:length], start=1):
            pull[:, back:] += weight * raised[:, : length + 1 - back]
        levelled: FloatArray = pull / np.maximum(1.0, pull.sum(axis=-1, keepdims=True))
        return levelled

    def left(self, item: IntArray) -> FloatArray:
        """Count the items of each interest that are still unseen, before each event and after the last one.

        Args:
            item: codes, int `(n, T)`; −1 where there is no event; none twice in a row.

        Returns:
            float `(n, T + 1, K)`.
        """
        held = self.catalogue.item_interests.astype(np.float64)
        seen = np.cumsum(np.where(item[..., None] >= 0, held[item], 0.0), axis=1)
        left: FloatArray = held.sum(axis=0) - np.pad(seen, ((0, 0), (1, 0), (0, 0)))
        return left

    def migrate(self, rows: FloatArray, pull: FloatArray, left: FloatArray) -> FloatArray:
        """Compute $\\pi_T$ from its three parts, which must broadcast against each other.

        Args:
            rows: $R$ or some of its rows, `(…, K)`.
            pull: $u_T$, `(…, K)`.
            left: unseen items by interest, `(…, K)`.

        Returns:
            float `(…, K)`; each row sums to one.
        """
        drawn = (1 - self.trigger * pull.sum(axis=-1, keepdims=True)) * rows + self.trigger * pull
        possible = np.where(left > 0, drawn, 0.0)
        total: FloatArray = possible / possible.sum(axis=-1, keepdims=True)
        return total


@dataclass(frozen=True, eq=False)
class Truth(Laws):
    """The laws, and what was hidden in one log that they wrote.

    `dataclasses.replace(truth, trigger=0.0)` is the same world without triggers.

    Attributes:
        persona: of each user, int32 `(U,)`.
        interest: the one that each event was drawn from, codes, int32 `(n,)`.
        cause: the trigger event that each event answers, as a row of the log, int64 `(n,)`; −1 where it came
            from the transition matrix.
    """

    persona: IntArray
    interest: IntArray
    cause: NDArray[np.int64]

    def mean_transition(self, log: BehaviourLog, scenario: str, current: str | None = None) -> FloatArray:
        """Compute $\\mathbb E[\\pi_T(\\cdot \\mid y) \\mid y, s', s]$ over a log's contexts, with triggers.

        Args:
            log: the one that this truth belongs to.
            scenario: $s'$, where the next event takes place.
            current: s, where the last one took place; by default anywhere, START included.

        Returns:
            float `(K + 1, K)`; each row sums to one, or is NaN where no context is such. Row K is START.

        Raises:
            LogError: the log is another one.
            UnknownNameError: there is no such scenario.
        """
        pi, last, before = self.contexts(log)
        asked = log.scenario == log.catalogue.codes("scenario", [scenario])[0]
        if current is not None:
            asked &= before == log.catalogue.codes("scenario", [current])[0]
        total = np.zeros((self.matrix.shape[1], self.matrix.shape[2]))
        np.add.at(total, last[asked], pi[asked])
        count = np.bincount(last[asked], minlength=len(total))[:, None]
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def contexts(self, log: BehaviourLog) -> tuple[FloatArray, IntArray, IntArray]:
        """Take every event of the log as a context: what was about to come, and from where.

        Args:
            log: the one that this truth belongs to, n events.

        Returns:
            $\\pi_T(\\cdot \\mid y_T)$, triggers included, float `(n, K)`; the interest $y_T$ of the event
            before, int32 `(n,)`, K at START; and its scenario, int32 `(n,)`, −1 at START.

        Raises:
            LogError: the log is another one.
        """
        if len(log) != len(self.interest):
            raise LogError(
                f"the log has {len(log):,} events, its truth {len(self.interest):,}: give the whole log that "
                "`simulate` returned with it"
            )
        fix = "Give the log that `simulate` returned with it."
        self.catalogue.require_same(log.catalogue, "the truth", "the log", fix)
        if not self.catalogue.item_interests[log.item, self.interest].all():
            raise LogError(
                f"the log's events are not those of this truth: an item lacks the interest that it was drawn "
                f"from. {fix}"
            )
        before, last, changed = self._before(log)
        user, place, padded = log.owner, log.place, log.padded(log.item)
        rows = self.rows[changed, log.scenario, self.persona[user], last]
        return (
            self.migrate(rows, self.pull(padded)[user, place], self.left(padded)[user, place]),
            last,
            before,
        )

    def _before(self, log: BehaviourLog) -> tuple[IntArray, IntArray, IntArray]:
        """Of the event before, scenario (−1 at START) and interest (K); and whether the scenario changed."""
        first = log.starts[:-1][log.lengths > 0]
        scenario, interest = np.roll(log.scenario, 1), np.roll(self.interest, 1)
        scenario[first], interest[first] = -1, self.matrix.shape[-1]
        changed = ((scenario != log.scenario) & (scenario >= 0)).astype(np.int32)
        return scenario, interest, changed
