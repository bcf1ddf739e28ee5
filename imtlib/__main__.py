"""The library's command: `python -m imtlib train movielens-1m` trains a model on a data set.

With the same folder, a run that was interrupted goes on. The result is written as `load_pretrained` reads it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields
from typing import TypeVar, get_args

import keras

from imtlib.checkpoints import keep_pretrained
from imtlib.config import Attention, ModelConfig, TrainingConfig
from imtlib.data.splits import leave_one_out
from imtlib.datasets.registry import load_dataset
from imtlib.evaluation.ranking import evaluate
from imtlib.model import InterestMigrationModel
from imtlib.training.trainer import fit

Config = TypeVar("Config", ModelConfig, TrainingConfig)


def arguments() -> argparse.ArgumentParser:
    """Read the command line; the defaults are those of the shipped weights of MovieLens-1M."""
    commands = argparse.ArgumentParser(prog="python -m imtlib")
    parser = commands.add_subparsers(dest="command", required=True).add_parser(
        "train", help="train a model on a data set", description=__doc__
    )
    parser.add_argument("dataset", help="a name that load_dataset knows")
    model = parser.add_argument_group("model")
    model.add_argument("--units", type=int, default=148)
    model.add_argument("--layers", type=int, default=2)
    model.add_argument("--heads", type=int, default=4)
    model.add_argument("--attention", choices=sorted(get_args(Attention)), default="constant")
    model.add_argument("--dropout", type=float, default=0.3)
    model.add_argument("--max-length", type=int, default=200, help="events of a history that are read")
    model.add_argument(
        "--through-interests",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="items by way of interests, or the direct softmax that it is measured against",
    )
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=int, default=20)
    training.add_argument("--batch", type=int, default=64, help="users a step")
    training.add_argument("--learning-rate", type=float, default=3e-3)
    training.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", default="runs/{dataset}-{seed}", help="where epochs are kept")
    parser.add_argument("--out", default="data/pretrained", help="where the trained weights go")
    return commands


def command(given: argparse.Namespace) -> str:
    """Write the command line that does the same again, wherever it keeps its files."""
    shown = []
    for name, value in vars(given).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            shown.append(f"--{option}" if value else f"--no-{option}")
        elif name not in ("command", "dataset", "folder", "out"):
            shown.append(f"--{option} {value}")
    return f"python -m imtlib train {given.dataset} {' '.join(shown)}"


def chosen(config: type[Config], given: argparse.Namespace) -> Config:
    """Make a configuration of what was said on the command line."""
    said = vars(given)
    return config(**{field.name: said[field.name] for field in fields(config) if field.name in said})


def main() -> None:
    """Parse the arguments, train, measure on the test part, and keep the weights."""
    given = arguments().parse_args()
    keras.utils.set_random_seed(given.seed)
    split = leave_one_out(load_dataset(given.dataset))
    model = InterestMigrationModel.for_log(split.train, config=chosen(ModelConfig, given))
    began = time.monotonic()
    history = fit(
        model,
        split,
        config=chosen(TrainingConfig, given),
        folder=given.folder.format(dataset=given.dataset, seed=given.seed),
    )
    report = evaluate(model, split.test)
    print(report)
    about = {
        "command": command(given),
        "split": split.hash,
        "history": history,
        "test": {name: report[name] for name in ("HR@10", "NDCG@10", "log loss")},
        "minutes": round((time.monotonic() - began) / 60, 1),
        "terms": "The terms of the data it was trained on hold; for MovieLens: no commercial use.",
    }
    keep_pretrained(model, given.dataset, given.out, about)


if __name__ == "__main__":
    main()
