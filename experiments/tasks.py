"""What each task gives the others: `python -m experiments.tasks --seed 0 1 2`.

The small model on the simulated log, with more or less weight on the coming interest points, and without the
way through interests. Each is asked about people whose events it has never seen, in the world it has learnt:
for items, for interest points, and for how far its matrix lies from the true one. One file a run goes to
`experiments/results/tasks/`; a run that has its file is left alone.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from experiments.benchmark import machine, write
from experiments.recipes import ABLATIONS
from imtlib.analysis.interest_metrics import average_precision
from imtlib.analysis.transitions import distance, learnt_transition
from imtlib.baselines.counting import Popularity
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import leave_one_out
from imtlib.evaluation.ranking import evaluate
from imtlib.model import InterestMigrationModel
from imtlib.simulation.bayes_predictor import BestPredictor, share_of_achievable
from imtlib.simulation.simulator import simulate
from imtlib.simulation.truth import Truth
from imtlib.training.trainer import fit

BALANCES: dict[str, dict[str, Any]] = {
    "points-0": {"interest_loss_weight": 0.0},
    "points-0.1": {"interest_loss_weight": 0.1},
    "points-1": {"interest_loss_weight": 1.0},
    "points-10": {"interest_loss_weight": 10.0},
    "points-100": {"interest_loss_weight": 100.0},
    # Items have no say in what both tasks share.
    "points-1000000": {"interest_loss_weight": 1e6},
    "no-transition": {"through_interests": False},
}


def items(model: InterestMigrationModel, people: BehaviourLog, truth: Truth) -> dict[str, float]:
    """The last event of each of these people: its rank, and the share of the achievable log loss."""
    split = leave_one_out(people)
    found, floor, best = (
        evaluate(one, split.test) for one in (model, Popularity(split.train), BestPredictor(truth))
    )
    loss, ends = found["log loss"], (floor["log loss"], best["log loss"])
    return {
        "NDCG@10": found["NDCG@10"],
        "log loss": loss,
        "share of the achievable": share_of_achievable(loss, *ends),
    }


def points(model: InterestMigrationModel, people: BehaviourLog) -> dict[str, float]:
    """Which interests the five events hold that come after the tenth."""
    tenth = people.starts[:-1] + 10
    logits = model.outputs(people.histories_before(tenth), ("interest_logits",))["interest_logits"]
    held = people.catalogue.item_interests[people.item]
    came = np.stack([held[event : event + model.config.window].any(axis=0) for event in tenth])
    cross_entropy = np.logaddexp(0, logits.astype(np.float64)) - came * logits
    return {
        "average precision": float(np.nanmean(average_precision(logits, came))),
        "cross-entropy": float(cross_entropy.mean()),
    }


def matrix(model: InterestMigrationModel, people: BehaviourLog, truth: Truth) -> float:
    """Mean total variation of a row of the matrix from the true one, over all scenarios."""
    rows = len(people.catalogue.interests)
    apart = [
        distance(learnt_transition(model, people, name)[:rows], truth.mean_transition(people, name)[:rows])
        for name in people.catalogue.scenarios
    ]
    return float(np.mean(apart))


def run(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train one balance, and ask it about new people."""
    split = leave_one_out(simulate()[0])
    small = ABLATIONS["small"]
    keras.utils.set_random_seed(seed)
    model = InterestMigrationModel.for_log(split.train, **{**small.settings, **BALANCES[name]})
    began = time.monotonic()
    history = fit(model, split, **(small.fitting or {}), seed=seed, folder=folder, progress=False)
    people, truth = simulate(400, seed=1)
    return {
        "model": name,
        "seed": seed,
        "settings": asdict(model.config),
        "fitting": small.fitting,
        "hash": split.hash,
        "items": items(model, people, truth),
        "points": points(model, people),
        "matrix, total variation": matrix(model, people, truth) if model.config.through_interests else None,
        "minutes": round((time.monotonic() - began) / 60, 2),
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "numpy", "imtlib")},
        "history": history,
    }


def main() -> None:
    """Run what has no file yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=BALANCES, nargs="+", default=list(BALANCES))
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--results", type=Path, default=Path("experiments/results/tasks"))
    parser.add_argument("--runs", type=Path, default=Path("runs/tasks"))
    given = parser.parse_args()
    for seed in given.seed:
        for name in given.model:
            path = given.results / f"{name}-seed{seed}.json"
            if not path.exists():
                found = run(name, seed, given.runs / f"{name}-seed{seed}")
                write(found, path)
                shown = (found["items"], found["points"], found["matrix, total variation"])
                print(path, *shown, f"{found['minutes']} minutes", flush=True)


if __name__ == "__main__":
    main()
