"""What a result file holds of any run: its figures as JSON has them, and where and with what it was made."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from imtlib.data.atomic import whole
from imtlib.data.splits import Split
from imtlib.evaluation.ranking import Report, Scorer, evaluate

Result = dict[str, Any]
LONG = ("history", "rank", "loss")
"""What comes last in a file."""


def rounded(value: float, digits: int = 5) -> float | None:
    """Round a figure; what JSON has not, NaN and infinity, becomes `None`."""
    return round(float(value), digits) if np.isfinite(value) else None


def figures(report: Report) -> dict[str, float | None]:
    """Give the metrics of a report, to five digits."""
    return {name: rounded(value) for name, value in report.items()}


def intervals(
    report: Report, metrics: Iterable[str] = ("HR@10", "NDCG@10", "MRR", "log loss")
) -> dict[str, list[float | None]]:
    """Give the ends of the 95 % bootstrap interval over users, by metric."""
    return {name: [rounded(end) for end in report.interval(name)] for name in metrics}


def ranks(report: Report) -> list[int | None]:
    """Give the rank of each request's target; `None` where the target had been seen."""
    return [int(rank) if np.isfinite(rank) else None for rank in report.rank]


def losses(report: Report) -> list[float | None]:
    """Give the log loss of each request, nats; `None` where the target had been seen."""
    return [rounded(loss, 4) for loss in report.loss]


def answers(model: Scorer, split: Split) -> Result:
    """Ask both parts of a split; give its hash, the figures of both, and each request of the test."""
    test = evaluate(model, split.test)
    return {
        "hash": split.hash,
        "valid": figures(evaluate(model, split.valid)),
        "test": figures(test),
        "interval": intervals(test),
        "rank": ranks(test),
        "loss": losses(test),
    }


def peak_memory() -> float:
    """Measure the most memory that this process has held, in megabytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: on Linux a process inherits that of the one that started it.
        return int(status.read_text("ascii").split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)


def machine() -> Result:
    """Say what a run is computed on: processor, threads, the instructions that matter for matrices, GPUs."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf8").splitlines() if info.exists() else []
    named = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(named.get("flags", "").split())
    return {
        "processor": named.get("model name", platform.processor() or platform.machine()),
        "threads": os.cpu_count(),
        "instructions": sorted(flags & {"avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"}),
        "gpus": len(tf.config.list_physical_devices("GPU")),
    }


def circumstances() -> Result:
    """Give the row of every run: peak memory so far, machine, versions, and the day in UTC."""
    return {
        "peak memory, MB": round(peak_memory()),
        "machine": machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "numpy", "imtlib")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def write(result: Mapping[str, Any], path: Path) -> None:
    """Write a result file atomically, one value a line, the longest last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(result, key=lambda key: key in LONG)
    lines = [f" {json.dumps(key)}: {json.dumps(result[key], allow_nan=False)}" for key in ordered]
    with whole(path) as fresh:
        fresh.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf8")
