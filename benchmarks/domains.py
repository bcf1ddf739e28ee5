"""Two domains with the same people, by two protocols: `python benchmarks/domains.py --seed 0 1 2 3 4`.

Food and Kitchen, or with `--files EVENTS ITEMS --domains ONE OTHER` any pair in the same form, in the same
configuration. The authors' protocol asks for each user's last event among 999 items drawn from its domain;
ours asks only where it is known which event was the last, and ranks the whole domain: see `imtlib.protocols`.
One file a model and seed goes to `results/domains/`; what has its file is left alone, and what was
interrupted goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from imtlib.amazon import amazon_food_kitchen, read_domains
from imtlib.augmentation import Augmentation
from imtlib.baselines import Popularity, SmoothedTransitions
from imtlib.benchmark import figures, machine, plain, write
from imtlib.biases import count_biases
from imtlib.each import each_for_log, fit_each
from imtlib.evaluation import Report, Scorer, evaluate
from imtlib.log import BehaviourLog
from imtlib.model import InterestMigrationModel
from imtlib.protocols import InScenario, evaluate_sampled, items_of_scenarios, untied
from imtlib.splits import Split, leave_one_out
from imtlib.training import fit
from imtlib.vectors import count_vectors

# Few events an item: each history teaches several coming items, is read with other events left out in every
# epoch, and what is learnt by heart is pulled back hard.
SETTINGS: dict[str, Any] = {
    "units": 128,
    "attention": "state",
    "sharing": "gate",
    "ahead": 2,
    "dropout": 0.6,
    "max_length": 50,
}
FITTING: dict[str, Any] = {
    "epochs": 30,
    "stretch": 50,
    "learning_rate": 0.004,
    "weight_decay": 2.0,
    "negatives": 2048,
    "augmentation": Augmentation(leave_out=0.4),
    "keep": "last",
    "judged": 200,
}
KS = (5, 10)
Trained = Callable[[Split, int, Path], tuple[Scorer, list[dict[str, float]]]]
"""From a split, a seed and a folder for epochs: a model, and what its epochs reached."""


def shared(split: Split, seed: int, folder: Path) -> tuple[Scorer, list[dict[str, float]]]:
    """One model of both domains, and what its epochs reached."""
    keras.utils.set_random_seed(seed)
    model = InterestMigrationModel.for_log(split.train, **SETTINGS)
    count_biases(model, split.train)
    count_vectors(model, split.train)
    return model, fit(model, split, **FITTING, seed=seed, folder=folder)


def each(split: Split, seed: int, folder: Path) -> tuple[Scorer, list[dict[str, float]]]:
    """One model a domain, each of which knows that domain's events alone."""
    keras.utils.set_random_seed(seed)
    models = each_for_log(split.train, **SETTINGS)
    for code, model in models.models.items():
        own = split.train.scenario == code
        count_biases(model, split.train, own)
        count_vectors(model, split.train.where(own))
    return models, fit_each(models, split, **FITTING, seed=seed, folder=folder)


def counted(floor: Callable[[BehaviourLog], Scorer]) -> Trained:
    """A floor that learns nothing."""
    return lambda split, seed, folder: (floor(split.train), [])


MODELS: dict[str, Trained] = {
    "popularity": counted(Popularity),
    "smoothed-transitions": counted(SmoothedTransitions),
    "shared": shared,
    "each": each,
}


def by_domain(report: Report) -> dict[str, dict[str, Any]]:
    """Figures, intervals and ranks of each domain's requests."""
    return {
        name: {
            "requests": len(one.rank),
            **figures(one),
            "interval": {metric: one.interval(metric) for metric in ("HR@10", "NDCG@10")},
            "rank": [int(r) if r < 1e9 else None for r in one.rank],
        }
        for name, one in report.by_scenario.items()
    }


def run(name: str, pair: str, log: BehaviourLog, seed: int, folder: Path) -> dict[str, Any]:
    """Train one model or count one floor, and ask it by both protocols."""
    split, belongs = leave_one_out(log), items_of_scenarios(log)
    began = time.monotonic()
    model, history = MODELS[name](split, seed, folder)
    minutes = round((time.monotonic() - began) / 60, 2)
    asked = untied(split, log)
    return {
        "pair": pair,
        "model": name,
        "seed": seed,
        "settings": SETTINGS if history else None,
        "fitting": plain(FITTING) if history else None,
        "hash": split.hash,
        "authors": {
            part.name: by_domain(evaluate_sampled(model, part, belongs, ks=KS))
            for part in (split.valid, split.test)
        },
        "untied": {
            part.name: by_domain(evaluate(InScenario(model, belongs), part, ks=KS))
            for part in (asked.valid, asked.test)
        },
        "minutes": minutes,
        "machine": machine(),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "numpy", "imtlib")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "history": history,
    }


def main() -> None:
    """Run what has no file yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, nargs="+", default=list(MODELS))
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--files", type=Path, nargs=2, metavar=("EVENTS", "ITEMS"), help="of another pair")
    parser.add_argument("--domains", nargs=2, default=["food", "kitchen"], metavar=("ONE", "OTHER"))
    parser.add_argument("--results", type=Path, default=Path("results/domains"))
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
