"""The runner: what has its file is left alone; what has none runs in a process of its own, and is written."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

from experiments.record import Result, circumstances, write

Options = Mapping[str, Mapping[str, Any]]
"""Of a command line: by name, what `add_argument` takes."""
SEEDS: Options = {"--seed": {"type": int, "nargs": "+", "default": [0]}}
T = TypeVar("T")


def many(choices: Collection[Any], default: Collection[Any] | None = None) -> dict[str, Any]:
    """Describe an option of several values, each of which is run; by default all choices."""
    return {"nargs": "+", "choices": list(choices), "default": list(default or choices)}


class Experiment(Protocol):
    """A module that says what is run and what is kept.

    Its `run` is called with one value of each option, and the folder where epochs are kept; what it returns,
    if it has not kept it itself, is written after these values. `PATH`, filled in with them, names the file
    below the folder of results, and behind `#` a section, where a file has several.
    """

    OPTIONS: Options
    PATH: str

    def run(self, *values: Any, **named: Any) -> Result | None:
        """Measure, and keep or return what was found."""


def run_missing(experiment: Experiment, given: Mapping[str, Any]) -> None:
    """Run what has no file yet, all combinations of the options' values.

    Args:
        experiment: a module.
        given: its options by name; `results`, folder of the files; `runs`, folder of epochs, so that a run
            that was interrupted goes on; and `again`, whether what has its file is run all the same.
    """
    names = {name.strip("-").replace("-", "_"): about for name, about in experiment.OPTIONS.items()}
    every = [given[name] if about.get("nargs") == "+" else [given[name]] for name, about in names.items()]
    for values in (dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*every)):
        name, _, section = experiment.PATH.format(**values).partition("#")
        path = given["results"] / f"{name}.json"
        held = json.loads(path.read_text("utf8")) if path.exists() else {}
        if (section in held if section else held) and not given["again"]:
            print(f"{path} {section} is there already: --again measures it anew.", flush=True)
            continue
        found = in_own_process(_measured, experiment.run, values, given["runs"] / name)
        if found is not None:
            write({**held, section: found} if section else {**values, **found}, path)
        print(path, section, flush=True)


def in_own_process(call: Callable[..., T], *given: Any) -> T:
    """Call a function in a fresh process: what one call leaves in memory is not counted for the next."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(call, *given).result()


def _measured(run: Callable[..., Result | None], values: Result, folder: Path) -> Result | None:
    found = run(**values, folder=folder)
    return None if found is None else {**circumstances(), **found}
