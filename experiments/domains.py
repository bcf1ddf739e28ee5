"""Two domains with the same people, by two protocols: `python -m experiments.domains --seed 0 1 2 3 4`.

Food and Kitchen, or with `--files EVENTS ITEMS --domains ONE OTHER` any pair in the same form, in the same
configuration. The authors' protocol asks for each user's last event among 999 items drawn from its domain;
ours asks only where it is known which event was the last, and ranks the whole domain: see
`imtlib.evaluation.protocols`.
One file a model and seed goes to `experiments/results/domains/`; what has its file is left alone, and what
was interrupted goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import keras

from experiments.benchmark import as_json, figures, machine, rounded, write
from imtlib.baselines.counting import Popularity, SmoothedTransitions
from imtlib.config import Augmentation
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split, leave_one_out
from imtlib.datasets.amazon import amazon_food_kitchen, read_domains
from imtlib.evaluation.protocols import (
    RestrictToScenario,
    drop_tied_requests,
    evaluate_sampled,
    items_of_scenarios,
)
from imtlib.evaluation.ranking import Report, Scorer, evaluate
from imtlib.model import InterestMigrationModel
from imtlib.training.initialisation import count_biases, count_vectors
from imtlib.training.per_scenario import each_for_log, fit_each
from imtlib.training.trainer import fit

PLAIN: dict[str, Any] = {"units": 128, "attention": "state", "dropout": 0.6, "max_length": 50}
# Few events an item: what is learnt by heart is pulled back hard.
PLAINLY: dict[str, Any] = {
    "epochs": 12,
    "window_length": 50,
    "learning_rate": 0.004,
    "weight_decay": 2.0,
    "negatives": 2048,
    "keep": "last",
    "max_validation_requests": 200,
}
# And each history teaches several coming items, and is read with other events left out in every epoch.
SETTINGS: dict[str, Any] = {**PLAIN, "units": 256, "sharing": "gate", "target_horizon": 3}
FITTING: dict[str, Any] = {**PLAINLY, "epochs": 20, "augmentation": Augmentation(leave_out=0.3)}
KS = (5, 10)


class Trained(NamedTuple):
    """A model to be asked, how it was made and fitted, and what its epochs reached."""

    model: Scorer
    settings: dict[str, Any] | None = None
    fitting: dict[str, Any] | None = None
    history: Sequence[dict[str, float]] = ()


Train = Callable[[Split, int, Path], Trained]
"""From a split, a seed and a folder for epochs."""


def plain(**changed: int) -> Train:
    """One model of both domains, whose vectors begin at random; and what of `PLAINLY` is otherwise."""

    def train(split: Split, seed: int, folder: Path) -> Trained:
        fitting = {**PLAINLY, **changed}
        keras.utils.set_random_seed(seed)
        model = InterestMigrationModel.for_log(split.train, **PLAIN)
        count_biases(model, split.train)
        return Trained(model, PLAIN, fitting, fit(model, split, **fitting, seed=seed, folder=folder))

    return train


def shared(split: Split, seed: int, folder: Path) -> Trained:
    """One model of both domains, whose vectors begin where counts say."""
    keras.utils.set_random_seed(seed)
    model = InterestMigrationModel.for_log(split.train, **SETTINGS)
    count_biases(model, split.train)
    count_vectors(model, split.train)
    return Trained(model, SETTINGS, FITTING, fit(model, split, **FITTING, seed=seed, folder=folder))


def each(split: Split, seed: int, folder: Path) -> Trained:
    """One model a domain, each of which knows that domain's events alone."""
    keras.utils.set_random_seed(seed)
    models = each_for_log(split.train, **SETTINGS)
    for code, model in models.models.items():
        own = split.train.scenario == code
        count_biases(model, split.train, own)
        count_vectors(model, split.train.filter(own))
    return Trained(models, SETTINGS, FITTING, fit_each(models, split, **FITTING, seed=seed, folder=folder))


def counted(floor: Callable[[BehaviourLog], Scorer]) -> Train:
    """A floor that learns nothing."""
    return lambda split, seed, folder: Trained(floor(split.train))


MODELS: dict[str, Train] = {
    "popularity": counted(Popularity),
    "smoothed-transitions": counted(SmoothedTransitions),
    "plain": plain(),
    "plain-4096": plain(negatives=4096),
    # The softmax over both domains whole.
    "plain-whole": plain(negatives=0),
    "shared": shared,
    "each": each,
}


def by_domain(report: Report) -> dict[str, dict[str, Any]]:
    """Figures, intervals and ranks of each domain's requests."""
    return {
        name: {
            "requests": len(one.rank),
            **figures(one),
            "interval": {m: [rounded(end) for end in one.interval(m)] for m in ("HR@10", "NDCG@10")},
            "rank": [int(r) if r < 1e9 else None for r in one.rank],
        }
        for name, one in report.by_scenario.items()
    }


def run(name: str, pair: str, log: BehaviourLog, seed: int, folder: Path) -> dict[str, Any]:
    """Train one model or count one floor, and ask it by both protocols."""
    split, belongs = leave_one_out(log), items_of_scenarios(log)
    began = time.monotonic()
    trained = MODELS[name](split, seed, folder)
    model = trained.model
    minutes = round((time.monotonic() - began) / 60, 2)
    asked = drop_tied_requests(split, log)
    return {
        "pair": pair,
        "model": name,
        "seed": seed,
        "settings": trained.settings,
        "fitting": None if trained.fitting is None else as_json(trained.fitting),
        "hash": split.hash,
        "authors": {
            part.name: by_domain(evaluate_sampled(model, part, belongs, ks=KS))
            for part in (split.valid, split.test)
        },
        "untied": {
            part.name: by_domain(evaluate(RestrictToScenario(model, belongs), part, ks=KS))
            for part in (asked.valid, asked.test)
        },
        "minutes": minutes,
        "machine": machine(),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "numpy", "imtlib")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "history": trained.history,
    }


def main() -> None:
    """Run what has no file yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, nargs="+", default=list(MODELS))
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--files", type=Path, nargs=2, metavar=("EVENTS", "ITEMS"), help="of another pair")
    parser.add_argument("--domains", nargs=2, default=["food", "kitchen"], metavar=("ONE", "OTHER"))
    parser.add_argument("--results", type=Path, default=Path("experiments/results/domains"))
    parser.add_argument("--runs", type=Path, default=Path("runs/domains"))
    given = parser.parse_args()
    pair = "-".join(given.domains)
    if given.files:
        log = read_domains(given.files[0], given.files[1], given.domains)
    else:
        log = amazon_food_kitchen()
    for seed in given.seed:
        for name in given.model:
            path = given.results / pair / f"{name}-seed{seed}.json"
            if path.exists():
                continue
            found = run(name, pair, log, seed, given.runs / pair / f"{name}-seed{seed}")
            write(found, path)
            for protocol in ("authors", "untied"):
                shown = {d: [f[m] for m in ("HR@10", "NDCG@10")] for d, f in found[protocol]["test"].items()}
                print(path, protocol, shown, f"{found['minutes']} minutes", flush=True)


if __name__ == "__main__":
    main()
