"""New users after 0 to 10 events: `python -m experiments.new_users simulated-small movielens-100k`.

One file a model and seed goes to `experiments/results/new-users/`; what has its file is left alone. Every
model is asked about the same users; none of their events was there to learn from, but for `scratch`, which
has nothing but what each of them did before the request.
"""

from __future__ import annotations

import argparse
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from experiments.benchmark import figures, machine, write
from imtlib.baselines.counting import Popularity, SmoothedTransitions
from imtlib.data.splits import Split
from imtlib.datasets.registry import load_dataset
from imtlib.evaluation.new_users import NewUsers, hold_out_users
from imtlib.evaluation.ranking import Report, Scorer, evaluate
from imtlib.model import InterestMigrationModel
from imtlib.training.trainer import fit

AFTER = (0, 1, 2, 5, 10)
SETTINGS: dict[str, dict[str, Any]] = {
    "simulated-small": {"units": 48, "heads": 2, "attention": "state", "dropout": 0.2},
    "movielens-100k": {"units": 48, "attention": "state", "dropout": 0.3},
}
FITTING: dict[str, dict[str, Any]] = {
    "simulated-small": {
        "epochs": 12,
        "batch": 16,
        "learning_rate": 0.01,
        "max_validation_requests": 200,
        "keep": "last",
    },
    "movielens-100k": {"epochs": 15, "batch": 16, "max_validation_requests": 200, "keep": "last"},
}
SHARE = {"simulated-small": 0.25, "movielens-100k": 0.3}
FLOORS = {"popularity": Popularity, "smoothed-transitions": SmoothedTransitions}
MODELS: dict[str, dict[str, Any]] = {
    "model": {"use_profile": False},
    "model-profile": {"use_profile": True},
    "scratch": {},
}


def fitted(dataset: str, split: Split, seed: int, **settings: Any) -> InterestMigrationModel:
    """A model of the data set's settings, trained on a split."""
    keras.utils.set_random_seed(seed)
    model = InterestMigrationModel.for_log(split.train, **SETTINGS[dataset], **settings)
    fit(model, split, **FITTING[dataset], seed=seed, progress=False)
    return model


def along(model: Scorer, new: NewUsers) -> dict[int, Report]:
    """After each number of events, the same model."""
    return {events: evaluate(model, new.after(events)) for events in AFTER}


def from_scratch(dataset: str, new: NewUsers, seed: int) -> dict[int, Report]:
    """After each number of events, a model that has learnt so many of every new user and nothing else."""
    found = {}
    for events in AFTER[2:]:
        few = new.first_events(events)
        split = Split(few, new.after(events - 1), new.after(events), new.split.hash, new.split.notes)
        found[events] = evaluate(fitted(dataset, split, seed), new.after(events))
    return found


def told(dataset: str, name: str, seed: int, new: NewUsers, found: dict[int, Report]) -> dict[str, Any]:
    """What the result file holds."""
    return {
        "dataset": dataset,
        "model": name,
        "seed": seed,
        "hash": new.split.hash,
        "new users": len(new.users),
        "after": {str(events): figures(report) for events, report in found.items()},
        "settings": None if name in FLOORS else {**SETTINGS[dataset], **MODELS[name]},
        "fitting": None if name in FLOORS else FITTING[dataset],
        "machine": machine(),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "numpy", "imtlib")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "rank": {str(events): [int(r) for r in report.rank] for events, report in found.items()},
        "loss": {str(e): [round(float(x), 4) for x in report.loss] for e, report in found.items()},
    }


def run(dataset: str, name: str, seed: int, new: NewUsers) -> dict[int, Report]:
    """Train one model, or count, and ask."""
    if name in FLOORS:
        return along(FLOORS[name](new.split.train), new)
    if name == "scratch":
        return from_scratch(dataset, new, seed)
    return along(fitted(dataset, new.split, seed, **MODELS[name]), new)


def main() -> None:
    """Run what has no file yet; the floors have one seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", choices=SETTINGS, nargs="+")
    parser.add_argument("--model", nargs="+", default=[*FLOORS, *MODELS])
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--results", type=Path, default=Path("experiments/results/new-users"))
    given = parser.parse_args()
    for dataset in given.dataset:
        new = hold_out_users(load_dataset(dataset), SHARE[dataset], max(AFTER))
        for seed in given.seed:
            for name in given.model:
                path = given.results / dataset / f"{name}-seed{seed}.json"
                if path.exists() or (name in FLOORS and seed != given.seed[0]):
                    continue
                found = run(dataset, name, seed, new)
                write(told(dataset, name, seed, new, found), path)
                print(
                    path,
                    {events: round(report["NDCG@10"], 3) for events, report in found.items()},
                    flush=True,
                )


if __name__ == "__main__":
    main()
