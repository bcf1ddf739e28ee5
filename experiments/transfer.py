"""Transfer: a model of one log, carried over to another, such as `movielens-1m movielens-100k --share 0.1`.

It is adapted to a share of the target's users, and asked about all of them; `scratch` is the same model,
trained on that share alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import imtlib as imt
from experiments.recipes import FLOORS, Recipe
from experiments.record import Result, answers
from experiments.runner import SEEDS, Options, many
from imtlib.config import TrainingConfig
from imtlib.data.splits import Split
from imtlib.datasets.download import fetch
from imtlib.datasets.xmarket import XMARKET, read_markets
from imtlib.evaluation.protocols import drop_tied_requests, untied_events
from imtlib.training.initialisation import count_biases
from imtlib.transfer.adapters import Counts, adapt
from imtlib.transfer.remapping import carry_over, titles

HOWS: dict[str, dict[str, Any]] = {
    "heads": {"how": "heads"},
    "norms": {"how": "norms"},
    **{f"lora-{rank}": {"how": "lora", "rank": rank} for rank in (1, 4, 16)},
    "all": {"how": "all"},
}
"""Arguments of `imtlib.transfer.adapters.adapt`."""


def _market(name: str) -> imt.BehaviourLog:
    return read_markets({name: fetch(XMARKET) / f"{name}_5core.txt"})


LOGS: dict[str, Callable[[], imt.BehaviourLog]] = {
    **{
        name: partial(imt.load_dataset, name)
        for name in ("movielens-1m", "movielens-100k", "simulated-small")
    },
    **{f"xmarket-{name}": partial(_market, name) for name in ("uk", "de", "fr")},
    # New people under the laws of simulated-small, and people under other laws with the same names.
    "simulated-same-laws": lambda: imt.simulate(400, seed=1)[0],
    "simulated-other-laws": lambda: imt.simulate(400, world=1)[0],
}


FITTED = TrainingConfig(batch=16, epochs=10, keep="last", max_validation_requests=50)
THIN = replace(FITTED, learning_rate=0.01)
# Markets have few events an item, soon overfitted: small steps, weights that are pulled back hard, and biases
# that are counted, since so few steps would never bring them as far.
FEW = replace(FITTED, batch=32, learning_rate=0.001, weight_decay=5.0)
MARKETS = {
    "scratch": FEW,
    "all": FEW,
    "thin": replace(FEW, learning_rate=0.002, weight_decay=4.0),
    "source": replace(FEW, batch=64),
}
OF_MARKETS = {"units": 64, "attention": "state", "dropout": 0.5}
PLANS = {
    "movielens-1m": {
        "scratch": replace(FITTED, epochs=20, learning_rate=0.005),
        "all": FITTED,
        "thin": THIN,
    },
    "simulated-small": {
        "scratch": replace(FITTED, learning_rate=0.005),
        "all": replace(FITTED, learning_rate=0.003),
        "thin": THIN,
    },
    **{f"xmarket-{name}": MARKETS for name in ("uk", "de", "fr")},
}
"""By source, how the target's own model is trained; one that was carried over, if all of it may change; and
if little may, which bears larger steps. Markets know only the day, and have no trained model: theirs is made.
"""
OPTIONS: Options = {
    "source": {"choices": list(PLANS)},
    "target": {"choices": list(LOGS)},
    "--how": many(["none", *HOWS, "scratch", *FLOORS]),
    "--share": {"type": float, "nargs": "+", "default": [1.0], "help": "of the target's users"},
    **SEEDS,
}
PATH = "transfer/{source}--{target}/{how}-share{share:g}-seed{seed}"


def count_untied(model: imt.InterestMigrationModel, log: imt.BehaviourLog) -> None:
    """Let biases begin from counts of the events that are alone in their day."""
    count_biases(model, log, untied_events(log))


def source_model(name: str, seed: int, folder: Path) -> tuple[imt.InterestMigrationModel, imt.BehaviourLog]:
    """Get the trained model of a source, and its log; a market's is trained, and goes on from a folder."""
    log = LOGS[name]()
    if "source" not in PLANS[name]:
        return imt.load_pretrained(name, log=log), log
    split = imt.leave_one_out(log)
    recipe = Recipe(settings=OF_MARKETS, training=PLANS[name]["source"], begin=count_untied)
    return recipe.train(split, seed, folder, target_mask=untied_events(split.train))[0], log


def share_of_users(split: Split, share: float, seed: int) -> Split:
    """Keep the requests, with a share of the users, at least one, to learn from; drawn by the seed."""
    users = np.random.default_rng([seed, 41]).permutation(len(split.train.users))
    chosen = users[: max(1, round(share * len(users)))]
    return replace(split, train=split.train.filter(np.isin(split.train.user, chosen)))


def run(source: str, target: str, how: str, share: float, seed: int, folder: Path) -> Result:
    """Carry a model over, adapt it, and ask it; or train one from scratch; or count.

    The epochs of the source lie two folders up, for all ways, shares and targets. Where only the day is
    known, events that share theirs are not predicted, neither in training nor in evaluation.
    """
    log, plan = LOGS[target](), PLANS[source]
    days = "source" in plan
    whole = imt.leave_one_out(log)
    split = share_of_users(whole, share, seed)
    mask = untied_events(split.train) if days else np.ones(len(split.train), np.bool_)
    facts: Result = {"users": int((split.train.lengths > 0).sum()), "lessons": int(mask.sum())}
    facts |= {"counts": None, "matched items": None, "items": len(log.catalogue.items)}
    if how in FLOORS:
        recipe, split = FLOORS[how], replace(split, train=split.train.filter(mask))
    else:
        theirs, their_log = source_model(source, seed, folder.parents[1] / f"{source}-seed{seed}")

        def carried(train: imt.BehaviourLog) -> imt.InterestMigrationModel:
            moved = carry_over(theirs, log.catalogue, titles(their_log), titles(log))
            counts = Counts(moved.model.count_params(), 0, 0)
            if how != "none":
                if days:
                    count_untied(moved.model, train)
                counts = adapt(moved, **HOWS[how])
            facts["counts"] = {**asdict(counts), "share": counts.share}
            facts["matched items"] = int((~moved.matching.new("item")).sum())
            return moved.model

        if how == "scratch":
            recipe = Recipe(settings=asdict(theirs.config), training=plan["scratch"])
            recipe = replace(recipe, begin=count_untied) if days else recipe
        else:
            recipe = Recipe(carried, training=None if how == "none" else plan.get(how, plan["thin"]))
    model, row = recipe.train(split, seed, folder, target_mask=mask)
    requests = drop_tied_requests(whole, log) if days else whole
    return {**facts, **answers(model, requests), **row}
