"""What each modality adds, for all items and for new ones: `python -m experiments.modalities`.

A thousand users of MovieLens-1M, a tenth of the films held out as new. One file a run goes to
`experiments/results/modalities/`; a run that has its file is left alone. With `--draw 1` other films are new;
those runs have a folder of their own. The benchmark of the library asks one test part, this one asks three,
so it has a command of its own.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from experiments.benchmark import figures, machine, write
from imtlib.baselines.counting import Popularity
from imtlib.data.item_features import Modalities, describe
from imtlib.datasets.registry import load_dataset
from imtlib.evaluation.new_items import InterestsAlone, NewItems, chance_of_hit, hold_out_items
from imtlib.evaluation.ranking import Report, Scorer, evaluate
from imtlib.model import InterestMigrationModel
from imtlib.training.trainer import fit

USERS = 1000
SETTINGS: dict[str, Any] = {"units": 48, "heads": 2, "dropout": 0.2}
FITTING: dict[str, Any] = {
    "epochs": 12,
    "batch": 32,
    "learning_rate": 0.01,
    "keep": "last",
    "max_validation_requests": 200,
}
CHOICES = {
    "id": None,
    "id-protected": ("id",),
    "id-interests": ("id", "interests"),
    "id-title": ("id", "text"),
    "id-year": ("id", "numbers"),
    "id-title-year": ("id", "text", "numbers"),
    "all": ("id", "text", "numbers", "interests"),
    "all-hiding": ("id", "text", "numbers", "interests"),
}
HIDE = {"all-hiding": 0.3}


def some_users(draw: int) -> NewItems:
    """The events of the users drawn, the same for every run; a tenth of their items new, by `draw`."""
    log = load_dataset("movielens-1m")
    drawn = np.zeros(len(log.users), np.bool_)
    drawn[np.random.default_rng(0).choice(len(log.users), USERS, replace=False)] = True
    return hold_out_items(log.filter(drawn[log.user]), seed=draw)


def parts(model: Scorer, new: NewItems) -> dict[str, Report]:
    """Requests for known items; for new ones, in the whole catalogue; and for these among each other."""
    return {
        "known": evaluate(model, new.split.test),
        "new": evaluate(model, new.requests),
        "among": evaluate(new.among(model), new.requests),
    }


def one_missing(
    model: InterestMigrationModel, new: NewItems
) -> dict[str, dict[str, dict[str, float | None]]]:
    """By modality, the figures when all items miss it, though the model has learnt with it."""
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    items = model.fused
    if items is None:
        return found
    present = np.asarray(items.present) > 0
    for place, name in enumerate(items.modalities):
        items.show(present & (np.arange(len(items.modalities)) != place))
        found[name] = {part: figures(report) for part, report in parts(model, new).items()}
    items.show(present)
    return found


def mean_gates(model: InterestMigrationModel, known: Modalities) -> dict[str, dict[str, float]]:
    """The mean gate of each modality, over known items and over new ones."""
    items = model.fused
    if items is None:
        return {}
    gates = np.asarray(items.gates(items.parts()))
    means = {"known": gates[known.known].mean(axis=0), "new": gates[~known.known].mean(axis=0)}
    return {
        part: {name: round(float(x), 3) for name, x in zip(items.modalities, mean, strict=True)}
        for part, mean in means.items()
    }


def run(name: str, seed: int, new: NewItems, folder: Path) -> dict[str, Any]:
    """Train and evaluate one choice of modalities."""
    keras.utils.set_random_seed(seed)
    described = describe(new.split.train, text=["title"], numbers=["year"])
    chosen = CHOICES[name]
    given = None if chosen is None else described.keep(*chosen)
    began = time.monotonic()
    model = InterestMigrationModel.for_log(new.split.train, given, **SETTINGS)
    fitting = {**FITTING, "hide": HIDE.get(name, 0.0)}
    history = fit(model, new.split, seed=seed, folder=folder, progress=False, **fitting)
    minutes = round((time.monotonic() - began) / 60, 2)
    return {
        **_told(name, seed, model, new),
        "settings": asdict(model.config),
        "modalities": list(chosen or ()),
        "fitting": fitting,
        "one missing": one_missing(model, new),
        "gates": mean_gates(model, described),
        "minutes": minutes,
        "history": history,
    }


def _told(name: str, seed: int, model: Scorer, new: NewItems) -> dict[str, Any]:
    reports = parts(model, new)
    among = reports["among"]
    return {
        "dataset": "movielens-1m",
        "users": USERS,
        "model": name,
        "seed": seed,
        "hash": new.split.hash,
        "requests": {part: len(report.rank) for part, report in reports.items()},
        "new items": len(new.items),
        **{part: figures(report) for part, report in reports.items()},
        "machine": machine(),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "numpy", "imtlib")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "rank": [int(r) for r in among.rank],
        "loss": [round(float(x), 4) for x in among.loss],
    }


def main() -> None:
    """Run what has no file yet, floors first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=CHOICES, nargs="+", default=list(CHOICES))
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--draw", type=int, default=0, help="which films are new")
    parser.add_argument("--results", type=Path, default=Path("experiments/results/modalities"))
    parser.add_argument("--runs", type=Path, default=Path("runs/modalities"))
    given = parser.parse_args()
    new = some_users(given.draw)
    print(new.split)
    folders = (given.results, given.runs)
    results, kept = folders if given.draw == 0 else (one / f"draw-{given.draw}" for one in folders)
    floors: dict[str, Scorer] = {
        "popularity": Popularity(new.split.train),
        "interests-alone": InterestsAlone(new.split.train),
    }
    chance = {"new": chance_of_hit(new.requests, 10), "among": chance_of_hit(new.requests, 10, new.items)}
    for name, floor in floors.items():
        path = results / f"{name}-seed0.json"
        if not path.exists():
            write({**_told(name, 0, floor, new), "chance of HR@10": chance}, path)
    for seed in given.seed:
        for name in given.model:
            path = results / f"{name}-seed{seed}.json"
            if not path.exists():
                found = run(name, seed, new, kept / f"{name}-seed{seed}")
                write(found, path)
                shown = {part: found[part]["HR@10"] for part in ("known", "new", "among")}
                print(path, shown, f"{found['minutes']} minutes", flush=True)


if __name__ == "__main__":
    main()
