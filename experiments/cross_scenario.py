"""The models of migration between scenarios; `python -m experiments.cross_scenario` trains what is missing.

Each learns from a fresh log of `imtlib.datasets.simulated.between`. Their weights go to
`data/pretrained`, where `imtlib.load_pretrained` finds them by name, such as `between-migration-seed0`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras

import imtlib as imt
from imtlib.checkpoints import keep_pretrained
from imtlib.datasets.simulated import between

OUT = Path("data/pretrained")
SMALL: dict[str, Any] = {"units": 24, "heads": 2, "attention": "state", "dropout": 0.1}
SEES: dict[str, Any] = {**SMALL, "rank": 24, "matrix_from_state": True, "sharing": "gate"}
FITTING: dict[str, Any] = {
    "epochs": 10,
    "batch": 16,
    "learning_rate": 0.01,
    "keep": "last",
    "max_validation_requests": 200,
}
MODELS = {
    **{f"between-migration-seed{seed}": (1.0, SEES, seed) for seed in range(3)},
    **{f"between-none-seed{seed}": (0.0, SEES, seed) for seed in range(3)},
    # What the matrix lacks to tell which scenario is left: one part of it, the other, or both.
    "between-none-blind-seed0": (0.0, SMALL, 0),
    "between-none-state-seed0": (0.0, {**SEES, "sharing": "none"}, 0),
    "between-none-gate-seed0": (0.0, {**SEES, "matrix_from_state": False}, 0),
    "between-none-star-seed0": (0.0, {**SEES, "sharing": "star"}, 0),
}
"""By name: how much migrates, the settings of the model, the seed of log and model."""


def train(name: str, migration: float, settings: dict[str, Any], seed: int) -> None:
    """Train one model on a fresh log, both by the seed, and keep its weights."""
    split = imt.leave_one_out(between(migration, seed)[0])
    keras.utils.set_random_seed(seed)
    model = imt.InterestMigrationModel.for_log(split.train, **settings)
    began = time.monotonic()
    history = imt.fit(model, split, **FITTING, seed=seed, progress=False)
    report = imt.evaluate(model, split.test)
    about = {
        "dataset": "simulated-between",
        "command": "python -m experiments.cross_scenario",
        "log": f"imtlib.datasets.simulated.between({migration}, {seed})",
        "fitting": FITTING,
        "seed": seed,
        "split": split.hash,
        "history": history,
        "test": {metric: report[metric] for metric in ("HR@10", "NDCG@10", "log loss")},
        "minutes": round((time.monotonic() - began) / 60, 1),
        "terms": "Free: the log is simulated.",
    }
    keep_pretrained(model, name, OUT, about)
    print(name, about["test"], about["minutes"], "minutes", flush=True)


def main() -> None:
    """Train what has no weights yet, one after another."""
    for name, (migration, settings, seed) in MODELS.items():
        if (OUT / f"{name}.json").exists():
            print(f"{name} is there already. To train it again, move it away.")
        else:
            train(name, migration, settings, seed)


if __name__ == "__main__":
    main()
