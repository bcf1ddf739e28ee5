"""Evaluation: how high a model ranks what came next, among all items that the user has not yet seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import EvaluationSet, Histories
from imtlib.errors import LogError, require_kind
from imtlib.evaluation.bootstrap import bootstrap_means, per_user, percentile_interval
from imtlib.types import BoolArray, FloatArray, IntArray, ScoreArray

WIDE, LONGEST = 88, 24
"""Characters that the columns of a printed report take together, and one of them."""
OTHER_LOG = (
    "Evaluate the model on the log it was made for, make one for this log, or bring it over: "
    "carry_over(model, split.train.catalogue)."
)


class Scorer(Protocol):
    """What can be evaluated: a model, a baseline, the best possible predictor."""

    @property
    def catalogue(self) -> Catalogue:
        """The names that the scores are about."""

    def score(self, histories: Histories) -> ScoreArray:
        """Compute log p of the next item, `(n, N)`, in the catalogue's order."""


@dataclass(frozen=True, eq=False, repr=False)
class Report(Mapping[str, float]):
    """What `evaluate` found: metrics by name, and everything they are means of.

    `report["NDCG@10"]` is a number, `list(report)` the names, `print(report)` a table. With r the rank of a
    target, HR@k is the mean of [r ≤ k], NDCG@k of [r ≤ k] / log₂(1 + r), MRR of 1 / r. The log loss, in nats,
    is the mean of −log p(target), p renormalised over the items not yet seen. coverage@k is the share of the
    catalogue that stands in at least one list of the best k. A metric over no request is NaN.

    Attributes:
        name: of the part.
        ks: lengths of the lists.
        scenarios: names of the S scenarios.
        rank: of each request's target among the items not yet seen, from 1, float64 `(n,)`; infinite where
            the target itself was already seen: such a request is a miss, whatever the model says.
        loss: −log p of each target, nats, float64 `(n,)`; NaN where the target was already seen, and left out
            of the mean.
        user: whose request it is, int32 `(n,)`.
        scenario: where it was made, codes, int32 `(n,)`.
        shown: whether an item stood in a list of the best k, by scenario and k, bool `(S, len(ks), N)`;
            with N = 0 that is not known, and coverage NaN.
    """

    name: str
    ks: tuple[int, ...]
    scenarios: tuple[str, ...]
    rank: FloatArray
    loss: FloatArray
    user: IntArray
    scenario: IntArray
    shown: BoolArray

    @property
    def seen_targets(self) -> int:
        """How many requests ask for an item that the history already holds, or that no given list holds."""
        return int(np.isinf(self.rank).sum())

    @cached_property
    def _each(self) -> dict[str, FloatArray]:
        """By metric, the values `(n,)` whose mean it is; NaN is left out."""
        hit = {k: self.rank <= k for k in self.ks}
        gain = 1 / np.log2(1 + self.rank)
        return {
            **{f"HR@{k}": hit[k].astype(np.float64) for k in self.ks},
            **{f"NDCG@{k}": np.where(hit[k], gain, 0.0) for k in self.ks},
            "MRR": 1 / self.rank,
            "log loss": self.loss,
        }

    @cached_property
    def _metrics(self) -> dict[str, float]:
        means = {name: _mean(values) for name, values in self._each.items()}
        known = len(self.rank) and self.shown.size
        covered = dict(zip(self.ks, self.shown.any(axis=0).mean(axis=1), strict=True)) if known else {}
        return {**means, **{f"coverage@{k}": float(covered.get(k, np.nan)) for k in self.ks}}

    def __getitem__(self, metric: str) -> float:
        if metric not in self._metrics:
            raise KeyError(f"no metric {metric!r} in this report: it holds {', '.join(self)}")
        return self._metrics[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    @cached_property
    def by_scenario(self) -> dict[str, Report]:
        """The same report for the requests of each scenario alone, by its name."""
        return {name: self._within(code) for code, name in enumerate(self.scenarios)}

    def _within(self, code: int) -> Report:
        here = self.scenario == code
        return replace(
            self,
            rank=self.rank[here],
            loss=self.loss[here],
            user=self.user[here],
            scenario=self.scenario[here],
            shown=self.shown * (np.arange(len(self.scenarios)) == code)[:, None, None],
        )

    def interval(
        self, metric: str, *, level: float = 0.95, draws: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """Compute the bootstrap interval of a metric.

        Users are drawn with replacement, all requests of a user together. Source: Efron & Tibshirani, An
        Introduction to the Bootstrap, 1993 (percentile interval).

        Args:
            metric: any but coverage, which is no mean over users.
            level: share of the draws inside the interval.
            draws: how many.
            seed: of the draws.

        Returns:
            Its two ends; NaN when the metric is.

        Raises:
            KeyError: the report has no such metric.
            ValueError: the metric is a coverage.
        """
        if np.isnan(self[metric]):
            return np.nan, np.nan
        means = bootstrap_means(*per_user(self.each(metric), self.user), draws, seed)
        return percentile_interval(means, level)

    def each(self, metric: str) -> FloatArray:
        """List the values whose mean a metric is, one a request, float64 `(n,)`; NaN where it has none.

        Raises:
            KeyError: the report has no such metric.
            ValueError: the metric is a coverage, which is no mean over requests.
        """
        if metric in self and metric not in self._each:
            raise ValueError(
                f"{metric} is no mean over requests, so it has no value at each, and no interval"
            )
        if metric not in self._each:
            raise KeyError(f"no metric {metric!r} in this report: it holds {', '.join(self)}")
        return self._each[metric]

    def __repr__(self) -> str:
        columns = {"all": self}
        asked = {name: part for name, part in self.by_scenario.items() if len(part.rank)}
        if len(asked) > 1:
            columns.update(asked)
        items = self.shown.shape[-1]
        lines = [f"{self.name}: {len(self.rank):,} requests, each ranking the unseen of {items:,} items"]
        if self.seen_targets:
            why = "stand in no list" if np.isnan(self.loss).all() else "had been seen already"
            lines.append(f"{self.seen_targets:,} targets {why} and count as misses")
        for block in _blocks(columns):
            cells = {name: f"{name[:LONGEST]:>8}" for name in block}
            lines.append("  ".join([" " * 12, *cells.values()]))
            for metric in self:
                row = [f"{columns[name][metric]:>{len(cell)}.4f}" for name, cell in cells.items()]
                lines.append("  ".join([f"{metric:<12}", *row]))
        return "\n".join(lines)


def _blocks(columns: Mapping[str, Report]) -> list[list[str]]:
    """Names of columns, as many to a block as a line has room for."""
    blocks: list[list[str]] = [[]]
    room = WIDE
    for name in columns:
        taken = min(max(8, len(name)), LONGEST) + 2
        if taken > room:
            blocks.append([])
            room = WIDE
        blocks[-1].append(name)
        room -= taken
    return blocks


def evaluate(
    model: Scorer,
    part: EvaluationSet,
    *,
    ks: Sequence[int] = (1, 5, 10, 20),
    seen: bool = False,
    batch: int = 256,
) -> Report:
    """Rank the whole catalogue at each request of a part and see where the item that came next stands.

    Items of the history are masked, unless `seen`. A tie counts against the model: the rank of a target is
    one more than the number of other unseen items that score at least as high, so a model that says the same
    of all comes last.

    Args:
        model: whatever has `catalogue` and `score`.
        part: requests whose answer is known.
        ks: lengths of the lists.
        seen: whether items of the history may be listed too, as where things are bought again.
        batch: requests scored at a time; changes memory, not the result.

    Returns:
        The report.

    Raises:
        LogError: the part holds no request.
        TypeError: the part is none, or the model scores nothing.
        ModelFileError: the model was made for another catalogue.
        ValueError: a length or `batch` is not positive, or the scores have the wrong shape or are not finite.
    """
    require_kind(part, EvaluationSet, "give a split's test or valid part, split.test")
    if not callable(getattr(model, "score", None)):
        raise TypeError(f"a {type(model).__name__} scores nothing: give a model or a baseline")
    if len(part) == 0:
        raise LogError(f"the {part.name} part holds no request: there is nothing to evaluate")
    if batch < 1 or not ks or min(ks) < 1:
        raise ValueError(f"ks={tuple(ks)} and batch={batch} must be positive")
    names = part.histories.catalogue
    model.catalogue.require_same(names, "the model", f"the {part.name} part", OTHER_LOG)
    rank, loss = np.empty(len(part)), np.empty(len(part))
    shown = np.zeros((len(names.scenarios), len(ks), len(names.items)), bool)
    # Histories of like length together: a model that pads them wastes little.
    order = np.argsort(part.histories.lengths, kind="stable")
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        histories = part.histories.take(rows)
        unseen = _checked(model.score(histories), part, rows)
        if not seen:
            unseen[histories.owner, histories.item] = -np.inf
        rank[rows], loss[rows] = _standing(unseen, part.target[rows])
        for place, k in enumerate(ks):
            best = _best(unseen, k)
            for code in np.unique(histories.request_scenario):
                shown[code, place] |= best[histories.request_scenario == code].any(axis=0)
    scenario = part.histories.request_scenario
    return Report(part.name, tuple(ks), names.scenarios, rank, loss, part.user, scenario, shown)


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _checked(given: ScoreArray, part: EvaluationSet, rows: NDArray[np.int64]) -> ScoreArray:
    """A copy of the scores, as floats, if they are of the right shape and finite."""
    expected = (len(rows), len(part.histories.catalogue.items))
    if np.shape(given) != expected:
        raise ValueError(f"score() gave an array of shape {np.shape(given)}, expected {expected}")
    score = np.array(given, np.result_type(np.asarray(given).dtype, np.float32))
    bad = np.argwhere(~np.isfinite(score))
    if len(bad):
        row, item = rows[bad[0, 0]], part.histories.catalogue.items[bad[0, 1]]
        raise ValueError(
            f"the score of item {item!r} at request {row} of the {part.name} part (user code "
            f"{part.user[row]}) is {score[tuple(bad[0])]}, not a finite number; so are "
            f"{len(bad) - 1:,} more of this batch"
        )
    return score


def _standing(unseen: ScoreArray, target: IntArray) -> tuple[FloatArray, FloatArray]:
    """Rank and −log p of each target; infinite and NaN where it was already seen."""
    own = unseen[np.arange(len(target)), target]
    known = np.isfinite(own)
    rank = np.where(known, (unseen >= own[:, None]).sum(axis=1), np.inf)
    top = np.where(known, unseen.max(axis=1), 0.0)
    total = np.exp(unseen - top[:, None]).sum(axis=1, dtype=np.float64)
    # `total` is at least one where the target is unseen; elsewhere nothing is known.
    loss = np.where(known, np.log(np.maximum(total, 1e-300)) + top - np.where(known, own, 0.0), np.nan)
    return rank, loss


def _best(unseen: ScoreArray, k: int) -> BoolArray:
    """Which items are among the best k, bool `(n, N)`; of equal ones at the border, those of lowest code."""
    items = unseen.shape[1]
    border = np.partition(unseen, items - min(k, items), axis=1)[:, items - min(k, items)]
    best: BoolArray = (unseen >= border[:, None]) & np.isfinite(unseen)
    for row in np.flatnonzero(best.sum(axis=1) > k):
        above = unseen[row] > border[row]
        equal = np.flatnonzero(best[row] & ~above)
        best[row, equal[k - above.sum() :]] = False
    return best
