"""Measured runs, read from the files that the experiments wrote; tables and reports."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from imtlib.data.splits import Split
from imtlib.errors import LogError
from imtlib.evaluation.ranking import Report

Run = Mapping[str, Any]

HERE = Path(__file__).parents[1]
PLACES = (HERE.parent / "experiments" / "results", HERE / "results")
"""In a clone, and in an installed wheel."""


def find_results(name: str | os.PathLike[str]) -> Path:
    """Find a file or a folder of the book's results, wherever a notebook runs, or of others by its path.

    Args:
        name: within the results, such as `"movielens-1m/leave-one-out"`; or a path that begins at the root.

    Raises:
        LogError: there is none.
    """
    for place in PLACES:
        if (place / name).exists():  # of a path from the root, the place does not matter
            return place / name
    raise LogError(f"no results named {name}: `python -m experiments` writes them to {PLACES[0]}.")


def read_result(name: str | os.PathLike[str]) -> Any:
    """Read one file of results.

    Args:
        name: as for `find_results`, such as `"speed.json"`.

    Raises:
        LogError: there is none.
    """
    return json.loads(find_results(name).read_text("utf8"))


def read_runs(folder: str | os.PathLike[str]) -> dict[str, list[Run]]:
    """The runs of one data set and split.

    Args:
        folder: such as `"movielens-1m/leave-one-out"`; see `find_results`.

    Returns:
        By model, in the order of the alphabet, its runs in the order of their seeds;
        `experiments/results/README.md` says what each holds.

    Raises:
        LogError: the folder holds no run, or runs of more than one split.
    """
    runs = _read(folder)
    runs.sort(key=lambda run: (run["model"], run["seed"]))
    return {
        name: [run for run in runs if run["model"] == name]
        for name in dict.fromkeys(r["model"] for r in runs)
    }


def read_transfers(folder: str | os.PathLike[str]) -> dict[tuple[str, float], list[Run]]:
    """The runs from one log to another, as `python -m experiments transfer` wrote them.

    Args:
        folder: such as `"transfer/movielens-1m--movielens-100k"`; see `find_results`.

    Returns:
        By way of adapting and share of the target's users, the runs in the order of their seeds.

    Raises:
        LogError: as `read_runs` raises it.
    """
    found: dict[tuple[str, float], list[Run]] = {}
    for run in sorted(_read(folder), key=lambda run: (run["how"], run["share"], run["seed"])):
        found.setdefault((run["how"], run["share"]), []).append(run)
    return found


def _read(folder: str | os.PathLike[str]) -> list[Run]:
    """All runs of a folder; there must be one, and all of one split."""
    place = find_results(folder)
    runs = [json.loads(path.read_text("utf8")) for path in place.glob("*-seed*.json")]
    if not runs:
        raise LogError(f"no run in {place}: `python -m experiments benchmark` writes them there.")
    if len({run["hash"] for run in runs}) > 1:
        raise LogError(f"{folder} holds runs of different splits; their figures cannot stand in one table.")
    return runs


def over_seeds(runs: Mapping[str, Sequence[Run]], metrics: Sequence[str], part: str = "test") -> pd.DataFrame:
    """Mean, least and most of metrics over the seeds of each model.

    Args:
        runs: by model.
        metrics: names, such as `"NDCG@10"`.
        part: `"test"` or `"valid"`.

    Returns:
        One row a model, with the column `("seeds", "")`, how many; and for each metric the three columns
        `(metric, "mean")`, `(metric, "low")` and `(metric, "high")`.
    """
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for name, seeds in runs.items():
        rows[name] = {("seeds", ""): len(seeds)}
        for metric in metrics:
            found = [run[part][metric] for run in seeds]
            rows[name] |= {
                (metric, "mean"): float(np.mean(found)),
                (metric, "low"): min(found),
                (metric, "high"): max(found),
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def in_words(table: pd.DataFrame, model: str, metric: str) -> str:
    """The mean over the seeds, with the lowest and the highest if there are several; a dash without a run.

    Args:
        table: what `over_seeds` gave.
        model: its row.
        metric: one of those that it was given.
    """
    if model not in table.index:
        return "–"
    mean, low, high = table.loc[[model], metric][["mean", "low", "high"]].to_numpy(float)[0]
    return f"{mean:.3f}" if low == high else f"{mean:.3f} ({low:.3f}–{high:.3f})"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown: the names of its columns, and its rows with as many cells each."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_report(runs: Sequence[Run]) -> Report:
    """The test requests of a model as a report, those of all seeds behind one another.

    Two such reports, with as many seeds each, can be handed to `imtlib.compare`: it pairs request
    by request and seed by seed, and draws users with all their seeds together.

    Args:
        runs: of one model, as `read_runs` gives them. They hold ranks and losses, but no lists: coverage is
            NaN in the report.
    """
    rank = np.array([[np.inf if r is None else r for r in run["rank"]] for run in runs], np.float64)
    loss = np.array([[np.nan if x is None else x for x in run["loss"]] for run in runs], np.float64)
    seeds, requests = rank.shape
    user = np.tile(np.arange(requests, dtype=np.int32), seeds)
    shown = np.zeros((1, 1, 0), np.bool_)
    return Report("test", (10,), ("all",), rank.ravel(), loss.ravel(), user, np.zeros_like(user), shown)


def as_report_by_scenario(runs: Sequence[Run], split: Split) -> Report:
    """The same, with the scenario of each request, which the files leave to the split.

    Args:
        runs: of one model, as `read_runs` gives them.
        split: the one that they were evaluated on.

    Raises:
        LogError: the runs are of another split.
    """
    if any(run["hash"] != split.hash for run in runs):
        raise LogError(f"the runs of {runs[0]['model']!r} are of another split than {split.hash[:12]}…")
    names = split.train.catalogue.scenarios
    asked = np.tile(split.test.histories.request_scenario, len(runs))
    shown = np.zeros((len(names), 1, 0), np.bool_)
    return replace(as_report(runs), scenarios=names, scenario=asked, shown=shown)
