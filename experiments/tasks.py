"""Tasks: what each gives the others, with more or less weight on the coming interest points.

The small model on the simulated log. Each is asked about people whose events it has never seen, in the world
it has learnt: for items, for interest points, and for how far its matrix lies from the true one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import imtlib as imt
from experiments.recipes import SMALL
from experiments.record import Result
from experiments.runner import SEEDS, Options, many
from imtlib.analysis.interest_metrics import average_precision
from imtlib.analysis.transitions import distance, learnt_transition
from imtlib.simulation.bayes_predictor import BestPredictor, share_of_achievable
from imtlib.simulation.truth import Truth

# With a million, items have no say in what both tasks share.
WEIGHTS = (0, 0.1, 1, 10, 100, 1_000_000)
BALANCES = {
    **{f"points-{weight}": SMALL.changed(interest_loss_weight=float(weight)) for weight in WEIGHTS},
    "no-transition": SMALL.changed(through_interests=False),
}
OPTIONS: Options = {"--model": many(BALANCES), **SEEDS}
PATH = "tasks/{model}-seed{seed}"


def run(model: str, seed: int, folder: Path) -> Result:
    """Train one balance, and ask it about new people."""
    split = imt.leave_one_out(imt.simulate()[0])
    made, row = BALANCES[model].train(split, seed, folder)
    people, truth = imt.simulate(400, seed=1)
    return {
        "hash": split.hash,
        "items": items(made, people, truth),
        "points": points(made, people),
        "matrix, total variation": None if model == "no-transition" else matrix(made, people, truth),
        **row,
    }


def items(model: imt.InterestMigrationModel, people: imt.BehaviourLog, truth: Truth) -> dict[str, float]:
    """Ask for the last event of each of these people: its rank, and the share of the achievable log loss."""
    split = imt.leave_one_out(people)
    scorers = (model, imt.Popularity(split.train), BestPredictor(truth))
    found, *ends = (imt.evaluate(scorer, split.test) for scorer in scorers)
    share = share_of_achievable(found["log loss"], *(end["log loss"] for end in ends))
    return {"NDCG@10": found["NDCG@10"], "log loss": found["log loss"], "share of the achievable": share}


def points(model: imt.InterestMigrationModel, people: imt.BehaviourLog) -> dict[str, float]:
    """Ask which interests the five events hold that come after the tenth."""
    tenth = people.starts[:-1] + 10
    logits = model.outputs(people.histories_before(tenth), ("interest_logits",))["interest_logits"]
    held = people.catalogue.item_interests[people.item]
    came = np.stack([held[event : event + model.config.window].any(axis=0) for event in tenth])
    cross_entropy = np.logaddexp(0, logits.astype(np.float64)) - came * logits
    precision = float(np.nanmean(average_precision(logits, came)))
    return {"average precision": precision, "cross-entropy": float(cross_entropy.mean())}


def matrix(model: imt.InterestMigrationModel, people: imt.BehaviourLog, truth: Truth) -> float:
    """Measure the mean total variation of a row of the matrix from the true one, over all scenarios."""
    rows = len(people.catalogue.interests)
    apart = [
        distance(learnt_transition(model, people, name)[:rows], truth.mean_transition(people, name)[:rows])
        for name in people.catalogue.scenarios
    ]
    return float(np.mean(apart))
