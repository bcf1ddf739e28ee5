"""Train a model on a data set from the command line: `python -m imtlib.train movielens-1m`.

With the same folder, a run that was interrupted goes on. The result is written as `load_pretrained` reads it.
"""

from __future__ import annotations

import argparse
import time

import keras

from imtlib.datasets import load_dataset
from imtlib.evaluation import evaluate
from imtlib.model import InterestMigrationModel
from imtlib.pretrained import keep_pretrained
from imtlib.splits import leave_one_out
from imtlib.training import fit


def main() -> None:
    """Parse the arguments, train, measure on the test part, and keep the weights."""
    parser = argparse.ArgumentParser(prog="python -m imtlib.train", description=__doc__)
    parser.add_argument("dataset", help="a name that load_dataset knows")
    parser.add_argument("--units", type=int, default=148)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--max-length", type=int, default=200, help="events of a history that are read")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", default="runs/{dataset}-{seed}", help="where epochs are kept")
    parser.add_argument("--out", default="data/pretrained", help="where the trained weights go")
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    split = leave_one_out(load_dataset(given.dataset))
    model = InterestMigrationModel.for_log(
        split.train,
        units=given.units,
        layers=given.layers,
        dropout=given.dropout,
        max_length=given.max_length,
    )
    began = time.monotonic()
    folder = given.folder.format(dataset=given.dataset, seed=given.seed)
    history = fit(model, split, epochs=given.epochs, seed=given.seed, folder=folder)
    report = evaluate(model, split.test)
    print(report)
    about = {
        "command": f"python -m imtlib.train {given.dataset} --units {given.units} --layers {given.layers} "
        f"--dropout {given.dropout} --max-length {given.max_length} --epochs {given.epochs} "
        f"--seed {given.seed}",
        "split": split.hash,
        "history": history,
        "test": {name: report[name] for name in ("HR@10", "NDCG@10")},
        "minutes": round((time.monotonic() - began) / 60, 1),
        "terms": "The terms of the data it was trained on hold; for MovieLens: no commercial use.",
    }
    keep_pretrained(model, given.dataset, given.out, about)


if __name__ == "__main__":
    main()
