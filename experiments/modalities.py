"""Modalities: what each adds, for all items and for new ones, on a thousand users of MovieLens-1M.

A tenth of the films is held out as new: with `--draw draw-1` others, whose runs have a folder of their own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import imtlib as imt
from experiments.recipes import SMALL, Recipe
from experiments.record import Result, figures, losses, ranks
from experiments.runner import SEEDS, Options, many
from imtlib.data.item_features import Modalities, describe
from imtlib.evaluation.new_items import InterestsAlone, NewItems, chance_of_hit, hold_out_items
from imtlib.evaluation.ranking import Report, Scorer
from imtlib.layers.item_fusion import FusedItems

USERS = 1000
BASE = SMALL.changed(batch=32, attention="constant")
CHOICES: dict[str, tuple[str, ...]] = {
    "id": (),
    "id-protected": ("id",),
    "id-interests": ("id", "interests"),
    "id-title": ("id", "text"),
    "id-year": ("id", "numbers"),
    "id-title-year": ("id", "text", "numbers"),
    "all": ("id", "text", "numbers", "interests"),
    "all-hiding": ("id", "text", "numbers", "interests"),
}
"""By name, the modalities; without any, items are known by their id alone, and new ones are on offer."""
FLOORS = {"popularity": Recipe(imt.Popularity), "interests-alone": Recipe(InterestsAlone)}
DRAWS = {"": 0, "draw-1": 1, "draw-2": 2}
"""By the folder of the runs, which films are new."""
OPTIONS: Options = {"--draw": many(DRAWS, [""]), "--model": many([*FLOORS, *CHOICES]), **SEEDS}
PATH = "modalities/{draw}/{model}-seed{seed}"


def some_users(draw: int) -> NewItems:
    """Take the events of the users drawn, the same for every run; a tenth of their items new, by `draw`."""
    log = imt.load_dataset("movielens-1m")
    drawn = np.zeros(len(log.users), np.bool_)
    drawn[np.random.default_rng(0).choice(len(log.users), USERS, replace=False)] = True
    return hold_out_items(log.filter(drawn[log.user]), seed=draw)


def run(draw: str, model: str, seed: int, folder: Path) -> Result:
    """Train one choice of modalities, or take a floor; ask about known items, and about new ones twice."""
    new = some_users(DRAWS[draw])
    if model in FLOORS:
        made, row = FLOORS[model].train(new.split, seed, folder)
        among = chance_of_hit(new.requests, 10, new.items)
        row["chance of HR@10"] = {"new": chance_of_hit(new.requests, 10), "among": among}
    else:
        described, chosen = describe(new.split.train, text=["title"], numbers=["year"]), CHOICES[model]
        make = partial(BASE.make, modalities=described.keep(*chosen) if chosen else None)
        recipe = replace(BASE, make=make).changed(modality_dropout=0.3 if model == "all-hiding" else 0.0)
        made, row = recipe.train(new.split, seed, folder)
        row["modalities"] = list(chosen)
        items = made.fused
        row["one missing"] = one_missing(made, items, new) if items else {}
        row["gates"] = mean_gates(items, described) if items else {}
    reports = parts(made, new)
    return {
        "dataset": "movielens-1m",
        "users": USERS,
        "hash": new.split.hash,
        "requests": {part: len(report.rank) for part, report in reports.items()},
        "new items": len(new.items),
        **{part: figures(report) for part, report in reports.items()},
        "rank": ranks(reports["among"]),
        "loss": losses(reports["among"]),
        **row,
    }


def parts(model: Scorer, new: NewItems) -> dict[str, Report]:
    """Ask for known items; for new ones, in the whole catalogue; and for these among each other."""
    return {
        "known": imt.evaluate(model, new.split.test),
        "new": imt.evaluate(model, new.requests),
        "among": imt.evaluate(new.among(model), new.requests),
    }


def one_missing(model: Scorer, items: FusedItems, new: NewItems) -> dict[str, Result]:
    """Give the figures when all items miss one modality, though the model has learnt with it, by modality."""
    found, present = dict[str, Result](), np.asarray(items.present) > 0
    for place, name in enumerate(items.modalities):
        items.show(present & (np.arange(len(items.modalities)) != place))
        found[name] = {part: figures(report) for part, report in parts(model, new).items()}
    items.show(present)
    return found


def mean_gates(items: FusedItems, described: Modalities) -> dict[str, dict[str, float]]:
    """Give the mean gate of each modality, over known items and over new ones."""
    gates, known = np.asarray(items.gates(items.parts())), described.known
    means = {"known": gates[known].mean(axis=0), "new": gates[~known].mean(axis=0)}
    return {
        part: {name: round(float(x), 3) for name, x in zip(items.modalities, mean, strict=True)}
        for part, mean in means.items()
    }
