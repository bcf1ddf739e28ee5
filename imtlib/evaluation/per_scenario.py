"""One model for each scenario alone; and whether a model that all share helps each scenario, or hurts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import EvaluationSet, Histories
from imtlib.data.splits import Split
from imtlib.errors import LogError, UnknownNameError
from imtlib.evaluation.comparison import compare
from imtlib.evaluation.ranking import Report, Scorer
from imtlib.types import ScoreArray

LOWER_IS_BETTER = ("log loss",)


def own_scenario(histories: Histories) -> Histories:
    """Keep of each history the events in the scenario of its request: what a model of that scenario sees.

    Args:
        histories: n histories; one without an event in the scenario of its request becomes empty.
    """
    return histories.filter(histories.scenario == histories.request_scenario[histories.owner])


def only_scenario(split: Split, scenario: str) -> Split:
    """Keep one scenario's share of a split: what a model that knows no other scenario learns and is asked.

    Its requests are requests of the whole split, so that both models can be compared on them. Users and
    catalogue stay whole.

    Args:
        split: of a log with several scenarios.
        scenario: the name of one.

    Returns:
        Its training events, and of validation and test the requests made in it, with histories of its events.

    Raises:
        UnknownNameError: there is no such scenario.
        LogError: no training event took place in it.
    """
    code = split.train.catalogue.codes("scenario", [scenario])[0]
    train = split.train.filter(split.train.scenario == code)
    if len(train) == 0:
        raise LogError(f"no training event took place in {scenario!r}: there is nothing to learn alone")

    def asked(part: EvaluationSet) -> EvaluationSet:
        here = part.take(np.flatnonzero(part.histories.request_scenario == code))
        return replace(here, histories=own_scenario(here.histories))

    note = f"Only {scenario}: {len(train):,} of {len(split.train):,} events to learn from."
    parts = Split(train, asked(split.valid), asked(split.test), split.hash, split.notes)
    return parts.derive(scenario, note=note)


class PerScenarioModel:
    """Many models as one scorer: the model of the request's scenario answers, from the events of that alone.

    Args:
        models: one for each scenario, by its name, such as one fitted on `only_scenario(split, name)`. A
            scenario may be left out if it is never asked about.

    Raises:
        ValueError: there is no model.
        ModelFileError: the models are of different catalogues.
        UnknownNameError: a name is no scenario of their catalogue.
    """

    def __init__(self, models: Mapping[str, Scorer]) -> None:
        if not models:
            raise ValueError("no model is given: give one for each scenario, by its name")
        first = next(iter(models))
        self.catalogue: Catalogue = models[first].catalogue
        fix = "Make each for only_scenario(split, scenario), which keeps the catalogue whole."
        for name, model in models.items():
            self.catalogue.require_same(
                model.catalogue, f"the model of {first!r}", f"the model of {name!r}", fix
            )
        codes = self.catalogue.codes("scenario", models)
        self.models = dict(zip(codes.tolist(), models.values(), strict=True))

    def score(self, histories: Histories) -> ScoreArray:
        """Score the next item by the model of each request's scenario.

        Args:
            histories: n histories, whole; what happened in other scenarios is not shown to the models.

        Returns:
            log p, float32 `(n, N)`.

        Raises:
            UnknownNameError: a request is made in a scenario without a model.
        """
        score = np.zeros((len(histories), len(self.catalogue.items)), np.float32)
        for code in np.unique(histories.request_scenario):
            if code not in self.models:
                name = self.catalogue.scenarios[code]
                raise UnknownNameError(f"a request is made in {name!r}, for which no model was given")
            rows = np.flatnonzero(histories.request_scenario == code)
            score[rows] = self.models[int(code)].score(own_scenario(histories.take(rows)))
        return score


def negative_transfer(
    shared: Report,
    each: Report | Mapping[str, Report],
    metric: str = "NDCG@10",
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare, scenario by scenario, one model for all with one for that scenario alone.

    The pairs, the bootstrap over users and p are those of `imtlib.evaluation.comparison.compare`. Each
    scenario has an interval of its own: of twenty scenarios without any difference, about one is called
    helped or hurt at the level 0.95. A higher level is stricter.

    Args:
        shared: report of the model that all scenarios share.
        each: report of `PerScenarioModel` on the same part; or reports by scenario, each with the same
            requests of that scenario.
        metric: any but coverage, which is no mean over requests.
        level: share of the draws inside the interval.
        draws: how many.
        seed: of the draws.

    Returns:
        One row a scenario that was asked about, its name the index: `shared` and `alone`, the metric of
        either; `difference`, shared minus alone; `low` and `high`, the ends of its interval; `p`; `users`;
        and `verdict`: sharing `"helps"` or `"hurts"` if the interval leaves out zero, else `"undecided"`. Of
        the log loss less is better.

    Raises:
        KeyError: the reports have no such metric.
        ValueError: the metric is a coverage, the reports are about different requests, or a scenario has no
            report.
    """
    rows = {}
    for name, one in shared.by_scenario.items():
        if len(one.rank) == 0:
            continue
        other = each.by_scenario[name] if isinstance(each, Report) else _report_of(each, name)
        found = compare(one, other, metric, level=level, draws=draws, seed=seed)
        rows[name] = {
            "shared": one[metric],
            "alone": other[metric],
            "difference": found.mean,
            "low": found.low,
            "high": found.high,
            "p": found.p,
            "users": found.users,
            "verdict": _verdict(found.low, found.high, metric in LOWER_IS_BETTER),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("scenario")


def _report_of(each: Mapping[str, Report], name: str) -> Report:
    if name not in each:
        raise ValueError(f"no report of scenario {name!r}: there are {sorted(each)}")
    return each[name].by_scenario[name]


def _verdict(low: float, high: float, lower_is_better: bool) -> str:
    if low > 0:
        return "hurts" if lower_is_better else "helps"
    if high < 0:
        return "helps" if lower_is_better else "hurts"
    return "undecided"
