"""Benchmarks, trained, evaluated and written down: `python -m experiments.benchmark movielens-1m`.

Without a name it runs all models; ablations and ways to share are asked for by name. A run that has its file
is left alone; one that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.recipes import ABLATIONS, FITTED_BY_SPLIT, MODELS, SPLITS, WAYS
from imtlib.analysis.interest_metrics import METRICS, WITH_INTERVAL, evaluate_interests
from imtlib.config import TrainingConfig
from imtlib.data.atomic import whole
from imtlib.data.histories import EvaluationSet
from imtlib.datasets.registry import load_dataset
from imtlib.evaluation.ranking import Report, Scorer, evaluate
from imtlib.model import InterestMigrationModel

INTERVALS = ("HR@10", "NDCG@10", "MRR", "log loss")
DEFAULTS = {name: value for name, value in asdict(TrainingConfig()).items() if name != "seed"}
"""What `imtlib.training.trainer.fit` does where a recipe says nothing."""


def run(dataset: str, model: str, split: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train and evaluate one model; a run that was interrupted goes on.

    Args:
        dataset: a name that `load_dataset` knows.
        model, split: of `MODELS`, `ABLATIONS` or `WAYS`, and of `SPLITS`.
        seed: of first weights, windows, dropout and, where there is one, of the preparation.
        folder: where epochs are kept.

    Returns:
        What the result file holds: see `experiments/results/README.md`.
    """
    recipe = (MODELS | ABLATIONS | WAYS)[model]
    keras.utils.set_random_seed(seed)
    parts = recipe.prepare(SPLITS[split](load_dataset(dataset)), seed)
    began, used = time.monotonic(), time.process_time()
    made = recipe.make(parts.train, **recipe.settings)
    history: list[dict[str, float]] = []
    resumed = sum(len(record["history"]) for record in _records(folder))
    fitting = None if recipe.fitting is None else {**recipe.fitting, **FITTED_BY_SPLIT[split]}
    if fitting is not None:
        history = recipe.fit(made, parts, **fitting, seed=seed, folder=folder)
    trained, trained_cpu = time.monotonic() - began, time.process_time() - used
    if resumed:
        trained = sum(sum(record.get("seconds", ())) for record in _records(folder))
    reports = {"valid": evaluate(made, parts.valid), "test": evaluate(made, parts.test)}
    return {
        "dataset": dataset,
        "split": split,
        "model": model,
        "seed": seed,
        "settings": asdict(made.config) if hasattr(made, "config") else dict(recipe.settings),
        "fitting": None if fitting is None else as_json({**DEFAULTS, **fitting}),
        "hash": parts.hash,
        "requests": {"valid": len(parts.valid), "test": len(parts.test)},
        "valid": figures(reports["valid"]),
        "test": figures(reports["test"]),
        "interval": {name: [rounded(end) for end in reports["test"].interval(name)] for name in INTERVALS},
        "interests": interest_figures(made, parts.test),
        "resumed after epoch": resumed,
        "minutes": round(trained / 60, 2),
        "processor minutes": round(trained_cpu / 60, 2),
        "peak memory, MB": round(peak_memory()),
        "machine": machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "numpy", "imtlib")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "history": history,
        "rank": [int(r) if np.isfinite(r) else None for r in reports["test"].rank],
        "loss": [None if np.isnan(x) else round(float(x), 4) for x in reports["test"].loss],
    }


def _records(folder: Path) -> list[dict[str, Any]]:
    """What `imtlib.fit` keeps of its epochs in a folder, or of several models in folders within."""
    return [json.loads(record.read_text("utf8")) for record in sorted(folder.rglob("run.json"))]


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON can hold them."""
    return {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in settings.items()
    }


def figures(report: Report) -> dict[str, float | None]:
    """The metrics of a report, as `rounded` has them."""
    return {name: rounded(value) for name, value in report.items()}


def interest_figures(model: Scorer, part: EvaluationSet) -> dict[str, dict[str, Any]] | None:
    """How well a model that goes through interests foretells the next one, pooled and by scenario.

    Returns:
        By metric of `imtlib.analysis.interest_metrics.METRICS`: `pooled`, `interval`, 95 % over users
        (`None` where there is none), and `by scenario`, as `rounded` has them; `None` for a model without a
        matrix of transitions.
    """
    if not isinstance(model, InterestMigrationModel) or not model.config.through_interests:
        return None
    report = evaluate_interests(model, part)
    return {
        metric: {
            "pooled": rounded(getattr(report, metric)),
            "interval": [rounded(e) for e in report.interval(metric)] if metric in WITH_INTERVAL else None,
            "by scenario": {s: rounded(getattr(own, metric)) for s, own in report.by_scenario.items()},
        }
        for metric in METRICS
    }


def rounded(value: float) -> float | None:
    """To five digits; `None`, which JSON has in place of NaN, for NaN."""
    return None if np.isnan(value) else round(value, 5)


def peak_memory() -> float:
    """The most memory that this process has held, in megabytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: on Linux a process inherits that of the one that started it.
        return int(status.read_text("ascii").split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1 << 10
    )


def machine() -> dict[str, Any]:
    """What the run was computed on: processor, threads, the instructions that matter for matrices, GPUs."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf8").splitlines() if info.exists() else []
    known = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    named = {key.strip(): value.strip() for key, value in known.items()}
    flags = set(named.get("flags", "").split())
    return {
        "processor": named.get("model name", platform.processor() or platform.machine()),
        "threads": os.cpu_count(),
        "instructions": sorted(flags & {"avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"}),
        "gpus": len(tf.config.list_physical_devices("GPU")),
    }


def write(result: Mapping[str, Any], path: Path) -> None:
    """Write a result file at one stroke, one value a line; the long lists take one line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in result.items()]
    with whole(path) as fresh:
        fresh.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf8")


def main() -> None:
    """Parse the arguments; run what has no file yet, each in a process of its own; print the figures."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmark", description=__doc__)
    parser.add_argument("dataset", help="a name that load_dataset knows")
    parser.add_argument("--model", choices=[*MODELS, *ABLATIONS, *WAYS], nargs="+", default=list(MODELS))
    parser.add_argument("--split", choices=SPLITS, nargs="+", default=list(SPLITS))
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--results", type=Path, default=Path("experiments/results"), help="where the files go"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where epochs are kept")
    given = parser.parse_args()
    wanted = list(itertools.product(given.seed, given.model, given.split))
    for seed, model, split in wanted:
        name = f"{given.dataset}/{split}/{model}-seed{seed}"
        path = given.results / f"{name}.json"
        if path.exists():
            print(f"{path} is there already. To run it again, move it away.")
        elif len(wanted) > 1:
            # A process each: what one run leaves in memory is not counted for the next.
            own = ["--model", model, "--split", split, "--seed", str(seed)]
            folders = ["--results", str(given.results), "--runs", str(given.runs)]
            command = [sys.executable, "-m", "experiments.benchmark", given.dataset, *own, *folders]
            subprocess.run(command, check=True)  # noqa: S603 - our own command
        else:
            result = run(given.dataset, model, split, seed, given.runs / name)
            write(result, path)
            shown = {metric: result["test"][metric] for metric in INTERVALS}
            print(path, shown, f"{result['minutes']} minutes")


if __name__ == "__main__":
    main()
