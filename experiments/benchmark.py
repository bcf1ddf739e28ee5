"""Benchmark: models by name on a data set, such as `movielens-1m --model small --seed 0 1`.

Without a name it runs all models; ablations and ways to share are asked for by name.
"""

from __future__ import annotations

from pathlib import Path

import imtlib as imt
from experiments.recipes import FOLLOWERS, MODELS, RECIPES, SPLITS
from experiments.record import Result, answers, rounded
from experiments.runner import SEEDS, Options, many
from imtlib.analysis.interest_metrics import METRICS, WITH_INTERVAL, evaluate_interests
from imtlib.data.histories import EvaluationSet
from imtlib.evaluation.ranking import Scorer

EARLIER = "-followers"
"""After the name of a data set: the recipes are those of `FOLLOWERS`."""
OPTIONS: Options = {
    "dataset": {"help": f"a name that load_dataset knows; with {EARLIER} behind it, an earlier recipe"},
    "--model": many(RECIPES, MODELS),
    "--split": many(SPLITS),
    **SEEDS,
}
PATH = "{dataset}/{split}/{model}-seed{seed}"


def run(dataset: str, model: str, split: str, seed: int, folder: Path) -> Result:
    """Train and evaluate one model on one split."""
    name = dataset.removesuffix(EARLIER)
    recipe = (RECIPES if name == dataset else FOLLOWERS)[model]
    if split == "time":
        # What is asked about is later than all that is learnt from, and a model that is trained on predicts
        # it worse: the validation requests, which are later too, say when to stop.
        recipe = recipe.changed(keep="best")
    parts = recipe.prepare(SPLITS[split](imt.load_dataset(name)), seed)
    made, row = recipe.train(parts, seed, folder)
    return {
        "dataset": name,
        "requests": {"valid": len(parts.valid), "test": len(parts.test)},
        **answers(made, parts),
        "interests": interest_figures(made, parts.test),
        **row,
    }


def interest_figures(model: Scorer, part: EvaluationSet) -> dict[str, Result] | None:
    """Measure how well a model that goes through interests predicts the next one, by metric; others not."""
    if not isinstance(model, imt.InterestMigrationModel) or not model.config.through_interests:
        return None
    report = evaluate_interests(model, part)
    return {
        metric: {
            "pooled": rounded(getattr(report, metric)),
            "interval": [rounded(e) for e in report.interval(metric)] if metric in WITH_INTERVAL else None,
            "by scenario": {s: rounded(getattr(own, metric)) for s, own in report.by_scenario.items()},
        }
        for metric in METRICS
    }
