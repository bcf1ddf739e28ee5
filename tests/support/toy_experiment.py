"""An experiment that computes nothing: what the runner is tested with."""

from __future__ import annotations

from pathlib import Path

from experiments.record import Result
from experiments.runner import SEEDS, Options, many

OPTIONS: Options = {"dataset": {}, "--model": many(["a", "b"]), **SEEDS}
PATH = "toy/{dataset}/{model}-seed{seed}"


def run(dataset: str, model: str, seed: int, folder: Path) -> Result | None:
    """Say where the epochs would be; of the model `b`, keep nothing."""
    return {"test": {"NDCG@10": 0.5 + seed}, "folder": folder.name} if model == "a" else None
