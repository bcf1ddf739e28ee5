"""Cross-scenario: the models of migration between scenarios, kept where `imtlib.load_pretrained` finds them.

Each learns from a fresh log of `imtlib.datasets.simulated.between`.
"""

from __future__ import annotations

from pathlib import Path

import imtlib as imt
from experiments.recipes import SMALL
from experiments.runner import Options, many
from imtlib.checkpoints import keep_pretrained
from imtlib.datasets.simulated import between

BLIND = SMALL.changed(epochs=10, units=24, dropout=0.1)
SEES = BLIND.changed(rank=24, matrix_from_state=True, sharing="gate")
MODELS = {
    **{f"between-migration-seed{seed}": (1.0, SEES, seed) for seed in range(3)},
    **{f"between-none-seed{seed}": (0.0, SEES, seed) for seed in range(3)},
    # What the matrix lacks to tell which scenario is left: one part of it, the other, or both.
    "between-none-blind-seed0": (0.0, BLIND, 0),
    "between-none-state-seed0": (0.0, SEES.changed(sharing="none"), 0),
    "between-none-gate-seed0": (0.0, SEES.changed(matrix_from_state=False), 0),
    "between-none-star-seed0": (0.0, SEES.changed(sharing="star"), 0),
}
"""By name: how much migrates, the recipe of the model, the seed of log and model."""
WEIGHTS = {"type": Path, "default": Path("data/pretrained"), "help": "folder of the weights"}
OPTIONS: Options = {"--model": many(MODELS), "--results": WEIGHTS}
PATH = "{model}"


def run(model: str, results: Path, folder: Path) -> None:
    """Train one model on a fresh log, both by the seed, and keep its weights with their card."""
    migration, recipe, seed = MODELS[model]
    split = imt.leave_one_out(between(migration, seed)[0])
    made, row = recipe.train(split, seed, folder)
    report = imt.evaluate(made, split.test)
    about = {
        "dataset": "simulated-between",
        "command": f"python -m experiments cross-scenario --model {model}",
        "log": f"imtlib.datasets.simulated.between({migration}, {seed})",
        "fitting": row["fitting"],
        "seed": seed,
        "split": split.hash,
        "history": row["history"],
        "test": {metric: report[metric] for metric in ("HR@10", "NDCG@10", "log loss")},
        "minutes": row["minutes"],
        "terms": "Free: the log is simulated.",
    }
    keep_pretrained(made, model, results, about)
