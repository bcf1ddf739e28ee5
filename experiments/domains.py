"""Domains: Food and Kitchen, two with the same people, by two protocols.

The authors' protocol asks for each user's last event among 999 items drawn from its domain; ours asks only
where it is known which event was the last, and ranks the whole domain: see `imtlib.evaluation.protocols`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imtlib as imt
from experiments.recipes import FLOORS, LAST, Recipe
from experiments.record import Result, figures, intervals, ranks
from experiments.runner import SEEDS, Options, many
from imtlib.config import Augmentation
from imtlib.datasets.amazon import amazon_food_kitchen
from imtlib.evaluation import protocols
from imtlib.evaluation.per_scenario import PerScenarioModel
from imtlib.evaluation.ranking import Report
from imtlib.training.initialisation import count_biases, count_vectors
from imtlib.training.per_scenario import each_for_log, fit_each

KS = (5, 10)


def counted(model: imt.InterestMigrationModel, log: imt.BehaviourLog) -> None:
    """Let biases and vectors begin where counts say."""
    count_biases(model, log)
    count_vectors(model, log)


def each_counted(models: PerScenarioModel, log: imt.BehaviourLog) -> None:
    """Do so with each model, from its own domain's events."""
    for code, model in models.models.items():
        counted(model, log.filter(log.scenario == code))


# Few events an item: what is overfitted is pulled back hard.
PLAIN = Recipe(
    settings={"units": 128, "attention": "state", "dropout": 0.6, "max_length": 50},
    training=replace(LAST, epochs=12, window_length=50, learning_rate=0.004, weight_decay=2.0),
    begin=count_biases,
).changed(negatives=2048, max_validation_requests=200)
# And each history teaches several coming items, and is read with other events left out in every epoch.
SHARED = replace(PLAIN, begin=counted).changed(
    epochs=20, augmentation=Augmentation(leave_out=0.3), units=256, sharing="gate", target_horizon=3
)
MODELS = {
    **FLOORS,
    "plain": PLAIN,
    "plain-4096": PLAIN.changed(negatives=4096),
    # The softmax over both domains whole.
    "plain-whole": PLAIN.changed(negatives=0),
    "shared": SHARED,
    # One model a domain, each of which knows that domain's events alone.
    "each": replace(SHARED, make=each_for_log, begin=each_counted, fit=fit_each),
}
OPTIONS: Options = {"--model": many(MODELS), **SEEDS}
PATH = "domains/food-kitchen/{model}-seed{seed}"


def run(model: str, seed: int, folder: Path) -> Result:
    """Train one model or count one floor, and ask it by both protocols."""
    log = amazon_food_kitchen()
    split, belongs = imt.leave_one_out(log), protocols.items_of_scenarios(log)
    made, row = MODELS[model].train(split, seed, folder)
    untied, within = protocols.drop_tied_requests(split, log), protocols.RestrictToScenario(made, belongs)
    sampled = [protocols.evaluate_sampled(made, part, belongs, ks=KS) for part in (split.valid, split.test)]
    whole = [imt.evaluate(within, part, ks=KS) for part in (untied.valid, untied.test)]
    return {
        "pair": "food-kitchen",
        "hash": split.hash,
        "authors": {report.name: by_domain(report) for report in sampled},
        "untied": {report.name: by_domain(report) for report in whole},
        **row,
    }


def by_domain(report: Report) -> dict[str, Result]:
    """Give figures, intervals and ranks of each domain's requests."""

    def row(own: Report) -> Result:
        asked = {"interval": intervals(own, ("HR@10", "NDCG@10")), "rank": ranks(own)}
        return {"requests": len(own.rank), **figures(own), **asked}

    return {domain: row(own) for domain, own in report.by_scenario.items()}
