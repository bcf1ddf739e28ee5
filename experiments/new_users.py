"""New users, after 0 to 10 events.

Every model is asked about the same users; none of their events was there to learn from, but for `scratch`,
which has nothing but what each of them did before the request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imtlib as imt
from experiments.recipes import FLOORS, SMALL, Recipe
from experiments.record import Result, figures, losses, ranks
from experiments.runner import SEEDS, Options, many
from imtlib.config import TrainingConfig
from imtlib.data.splits import Split
from imtlib.evaluation.new_users import NewUsers, hold_out_users

AFTER = (0, 1, 2, 5, 10)
ON_FILMS = Recipe(
    settings={"units": 48, "attention": "state", "dropout": 0.3},
    training=TrainingConfig(epochs=15, batch=16, max_validation_requests=200, keep="last"),
)
DATASETS = {"simulated-small": (SMALL, 0.25), "movielens-100k": (ON_FILMS, 0.3)}
"""By name, the recipe, and the share of users that are new."""
MODELS = (*FLOORS, "model", "model-profile", "scratch")
OPTIONS: Options = {"dataset": {"choices": list(DATASETS), "nargs": "+"}, "--model": many(MODELS), **SEEDS}
PATH = "new-users/{dataset}/{model}-seed{seed}"


def run(dataset: str, model: str, seed: int, folder: Path) -> Result:
    """Train one model, or count, and ask it after each number of events."""
    trained, share = DATASETS[dataset]
    new = hold_out_users(imt.load_dataset(dataset), share, max(AFTER))
    recipe = FLOORS.get(model) or trained.changed(use_profile=model == "model-profile")
    if model == "scratch":
        models, row = from_scratch(recipe, new, seed, folder)
    else:
        made, row = recipe.train(new.split, seed, folder)
        models = dict.fromkeys(AFTER, made)
    reports = {str(events): imt.evaluate(made, new.after(events)) for events, made in models.items()}
    return {
        "hash": new.split.hash,
        "new users": len(new.users),
        "after": {events: figures(report) for events, report in reports.items()},
        "rank": {events: ranks(report) for events, report in reports.items()},
        "loss": {events: losses(report) for events, report in reports.items()},
        **row,
    }


def from_scratch(recipe: Recipe, new: NewUsers, seed: int, folder: Path) -> tuple[dict[int, Any], Result]:
    """Train a model for each number of events, which knows so many of every new user, and nothing else."""
    models, rows = {}, []
    for events in AFTER[2:]:
        parts = (new.first_events(events), new.after(events - 1), new.after(events))
        split = Split(*parts, new.split.hash, new.split.notes)
        models[events], row = recipe.train(split, seed, folder / str(events))
        rows.append(row)
    total = {key: sum(row[key] for row in rows) for key in ("minutes", "processor minutes")}
    return models, {**rows[0], **total, "history": [epoch for row in rows for epoch in row["history"]]}
