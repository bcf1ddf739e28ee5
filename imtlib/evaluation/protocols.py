"""Protocols for logs with several scenarios: who is asked, and among which items the answer is ranked.

There are two, and their figures are never to be mixed. *The authors' protocol* of ABXI (Bian
et al., WWW 2025) asks for each user's last event, with the one before it as validation, as `leave_one_out`
has them, and ranks the target among 999 items drawn from its domain: `evaluate_sampled`. *Ours* asks only
where it is known which event was the last, `drop_tied_requests`, and ranks the whole catalogue of the
scenario, `RestrictToScenario`::

    split = drop_tied_requests(imt.leave_one_out(log), log)
    report = imt.evaluate(RestrictToScenario(model, items_of_scenarios(log)), split.test, ks=(5, 10))

Why a draw is no headline: Krichene & Rendle, On Sampled Metrics for Item Recommendation, KDD 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import EvaluationSet, Histories
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split
from imtlib.errors import LogError
from imtlib.evaluation.ranking import OTHER_LOG, Report, Scorer
from imtlib.types import BoolArray, IntArray, ScoreArray

OUTSIDE = -1e9
"""Log p of an item that the request's scenario does not have: finite, as `evaluate` wants every score."""


def items_of_scenarios(log: BehaviourLog) -> BoolArray:
    """Find which items each scenario has: those with an event there, anywhere in the log.

    Args:
        log: the whole log, so that the items of the test count as well: a shop knows what it sells.

    Returns:
        bool `(S, N)`.
    """
    names = log.catalogue
    belongs = np.zeros((len(names.scenarios), len(names.items)), np.bool_)
    belongs[log.scenario, log.item] = True
    return belongs


class RestrictToScenario:
    """A model restricted to the items of the request's scenario, for `evaluate`: it ranks these alone.

    Args:
        model: what is to be evaluated.
        belongs: which items each scenario has, bool `(S, N)`, such as `items_of_scenarios` gives.

    Raises:
        ValueError: `belongs` has another shape.
    """

    def __init__(self, model: Scorer, belongs: BoolArray) -> None:
        _check_shape(belongs, model.catalogue)
        self.model, self.belongs = model, belongs

    @property
    def catalogue(self) -> Catalogue:
        """That of the model."""
        return self.model.catalogue

    def score(self, histories: Histories) -> ScoreArray:
        """Score as the model does, `(n, N)`, but −10⁹ for items that the request's scenario does not have."""
        return np.where(self.belongs[histories.request_scenario], self.model.score(histories), OUTSIDE)


def untied_events(log: BehaviourLog) -> BoolArray:
    """Find the events that share their second with no other event of their user.

    They are the training targets that go with the requests `drop_tied_requests` keeps.

    Where a log knows only the day, events of one day often come in bundles, such as a review that a shop
    counts for every variant of a thing. A model that learns to predict them learns the bundles.

    Args:
        log: such as `split.train`.

    Returns:
        bool `(events,)`, for `imtlib.training.trainer.fit(target_mask=…)` or `log.filter(…)`.
    """
    same = (np.diff(log.user) == 0) & (np.diff(log.time) == 0)
    return ~(np.append(same, False) | np.append(False, same))


def drop_tied_requests(split: Split, log: BehaviourLog) -> Split:
    """Leave out the requests whose target shares its second with another event of its user.

    Where a log knows only the day, the order within it is that of the file, often that of the items' numbers,
    and whoever asks for the last of them asks for the sorting. Both sides count: a validation target may be
    tied with the test target. The events to learn from all stay.

    Args:
        split: of the log.
        log: that was split.

    Raises:
        LogError: a part would be empty, or the split is of another log.
    """
    valid, test = _untied(split.valid, log), _untied(split.test, log)
    left = [len(split.valid) - len(valid), len(split.test) - len(test)]
    note = (
        f"Left out, since the target shares its time with another event of the user: {left[0]:,} of "
        f"{len(split.valid):,} validation requests, {left[1]:,} of {len(split.test):,} test requests."
    )
    return replace(split, valid=valid, test=test).derive("untied", note=note, separator=" ")


def _untied(part: EvaluationSet, log: BehaviourLog) -> EvaluationSet:
    first = int(log.time.min(initial=0))
    span = int(log.time.max(initial=0)) - first + 1
    moment = log.user * np.int64(span) + log.time - first  # ascends, as the log is in order
    asked = part.user * np.int64(span) + part.histories.request_time - first
    events = np.searchsorted(moment, asked, side="right") - np.searchsorted(moment, asked)
    if (events == 0).any():
        raise LogError(f"the {part.name} part asks for events that are not in this log: give its own log.")
    if not (events == 1).any():
        raise LogError(f"each target of the {part.name} part shares its time with another event of its user.")
    return part.take(np.flatnonzero(events == 1))


def draw_negatives(part: EvaluationSet, belongs: BoolArray, count: int = 999, seed: int = 0) -> IntArray:
    """Draw, without replacement, items of the request's scenario that the user has not met.

    Neither the target nor an item of the history is drawn. The draw depends on the seed and the user alone,
    so that a request has the same items in whatever selection it stands.

    Args:
        part: requests whose answer is known.
        belongs: which items each scenario has, bool `(S, N)`.
        count: how many, at each request.
        seed: of the draw.

    Returns:
        Codes, int32 `(n, count)`.

    Raises:
        LogError: a scenario has too few items.
        ValueError: `belongs` has another shape, or `count` is not positive.
    """
    histories = part.histories
    _check_shape(belongs, histories.catalogue)
    if count < 1:
        raise ValueError(f"count={count} must be positive")
    drawn = np.empty((len(part), count), np.int32)
    for row, (user, scenario, target) in enumerate(
        zip(part.user, histories.request_scenario, part.target, strict=True)
    ):
        free = belongs[scenario].copy()
        free[histories.item[histories.starts[row] : histories.starts[row + 1]]] = False
        free[target] = False
        pool = np.flatnonzero(free)
        if len(pool) < count:
            raise LogError(
                f"{count:,} items cannot be drawn for request {row}: scenario "
                f"{histories.catalogue.scenarios[scenario]!r} has {len(pool):,} that its user has not met. "
                f"Draw fewer."
            )
        rng = np.random.default_rng([seed, int(user)])
        drawn[row] = rng.choice(pool, count, replace=False, shuffle=False)
    return drawn


@dataclass(frozen=True, eq=False, repr=False)
class SampledReport(Report):
    """A report on targets ranked among drawn items: the metrics of `Report` without coverage.

    The log loss is that of p renormalised over the target and the drawn items.

    Attributes:
        drawn: how many items were drawn at each request.
    """

    drawn: int

    @cached_property
    def _metrics(self) -> dict[str, float]:
        return {name: value for name, value in super()._metrics.items() if not name.startswith("coverage")}

    def __repr__(self) -> str:
        _, *rest = super().__repr__().split("\n")
        asked = f"{self.name}: {len(self.rank):,} requests, each ranking its target and {self.drawn:,} drawn"
        return "\n".join([f"{asked} items", *rest])


def evaluate_sampled(
    model: Scorer,
    part: EvaluationSet,
    belongs: BoolArray,
    *,
    drawn: int = 999,
    ks: Sequence[int] = (5, 10),
    seed: int = 0,
    batch: int = 256,
) -> SampledReport:
    """Rank each target among items drawn from the request's scenario.

    As in `evaluate`, a tie counts against the model (in the code of ABXI it counts for it), and a target
    that the history holds already is a miss. `report.by_scenario` has the metrics of each scenario.

    Args:
        model: whatever has `catalogue` and `score`.
        part: requests whose answer is known.
        belongs: which items each scenario has, bool `(S, N)`, such as `items_of_scenarios` gives.
        drawn: how many items are drawn at each request, by `draw_negatives`.
        ks: lengths of the lists.
        seed: of the draw.
        batch: requests scored at a time; changes memory, not the result.

    Raises:
        LogError: the part holds no request, or a scenario has too few items.
        ModelFileError: the model was made for another catalogue.
        ValueError: a number is not positive, `belongs` has another shape, or a score is not finite.
    """
    if len(part) == 0:
        raise LogError(f"the {part.name} part holds no request: there is nothing to evaluate")
    if batch < 1 or not ks or min(ks) < 1:
        raise ValueError(f"ks={tuple(ks)} and batch={batch} must be positive")
    histories, names = part.histories, part.histories.catalogue
    model.catalogue.require_same(names, "the model", f"the {part.name} part", OTHER_LOG)
    candidates = np.column_stack([part.target, draw_negatives(part, belongs, drawn, seed)])
    rank, loss = np.empty(len(part)), np.empty(len(part))
    # Histories of like length together: a model that pads them wastes little.
    order = np.argsort(histories.lengths, kind="stable")
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        score = np.take_along_axis(model.score(histories.take(rows)), candidates[rows], axis=1)
        if not np.isfinite(score).all():
            raise ValueError(f"a score at the requests {rows} of the {part.name} part is not a finite number")
        rank[rows] = (score >= score[:, :1]).sum(axis=1)
        loss[rows] = np.logaddexp.reduce(score, axis=1, dtype=np.float64) - score[:, 0]
    owner = histories.owner
    seen = np.bincount(owner[histories.item == part.target[owner]], minlength=len(part)) > 0
    return SampledReport(
        name=part.name,
        ks=tuple(ks),
        scenarios=names.scenarios,
        rank=np.where(seen, np.inf, rank),
        loss=np.where(seen, np.nan, loss),
        user=part.user,
        scenario=histories.request_scenario,
        shown=np.zeros((len(names.scenarios), len(ks), drawn + 1), np.bool_),
        drawn=drawn,
    )


def _check_shape(belongs: BoolArray, names: Catalogue) -> None:
    expected = (len(names.scenarios), len(names.items))
    if belongs.shape != expected:
        raise ValueError(f"belongs has shape {belongs.shape}, expected {expected}: scenarios and items")
