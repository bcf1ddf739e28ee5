"""Run experiments: what has no file of results yet is trained, evaluated and written down.

One file a run goes to the folder of results; a run that has its file is left alone, one that was interrupted
goes on. `experiments/results/README.md` says what the files hold.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments import benchmark, cross_scenario, domains, modalities, new_users, tasks, transfer
from experiments.runner import Experiment, Options, run_missing
from experiments.speed import sections

EXPERIMENTS: dict[str, Experiment] = {
    "benchmark": benchmark,
    "transfer": transfer,
    "domains": domains,
    "tasks": tasks,
    "modalities": modalities,
    "new-users": new_users,
    "cross-scenario": cross_scenario,
    "speed": sections,
}
COMMON: Options = {
    "--results": {"type": Path, "default": Path("experiments/results"), "help": "folder of the files"},
    "--runs": {"type": Path, "default": Path("runs"), "help": "folder where epochs are kept"},
    "--again": {"action": "store_true", "help": "run also what has its file"},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line; run what is missing."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="experiment")
    for name, experiment in EXPERIMENTS.items():
        about = str(experiment.__doc__)
        command = commands.add_parser(name, help=about.split("\n")[0], description=about)
        for option, described in {**COMMON, **experiment.OPTIONS}.items():
            command.add_argument(option, **described)
        command.set_defaults(experiment=experiment)
    given = vars(parser.parse_args(arguments))
    run_missing(given["experiment"], given)


if __name__ == "__main__":
    main()
