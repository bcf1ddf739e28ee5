"""Transfer: a model of one log, carried over to another, such as `movielens-1m movielens-100k --share 0.1`.

It is adapted to a share of the target's users, and asked about all of them; `scratch` is the same model,
trained on that share alone. Besides the logs known by name, source and target may each be the path of a
market's file, as `imtlib.datasets.xmarket.read_markets` reads it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import imtlib as imt
from experiments.recipes import FLOORS, Recipe
from experiments.record import Result, figures, intervals, losses, ranks
from experiments.runner import SEEDS, Options, many
from imtlib.config import TrainingConfig
from imtlib.data.splits import Split
from imtlib.datasets.download import fetch
from imtlib.datasets.xmarket import XMARKET, read_markets
from imtlib.evaluation.protocols import drop_tied_requests, untied_events
from imtlib.training.initialisation import count_biases
from imtlib.transfer.adapters import Counts, adapt
from imtlib.transfer.remapping import carry_over, titles
from imtlib.types import BoolArray

HOWS: dict[str, dict[str, Any]] = {
    "none": {},
    "heads": {"how": "heads"},
    "norms": {"how": "norms"},
    **{f"lora-{rank}": {"how": "lora", "rank": rank} for rank in (1, 4, 16)},
    "all": {"how": "all"},
}
"""Arguments of `imtlib.transfer.adapters.adapt`; `"none"` changes nothing."""


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


def _log(name: Path) -> imt.BehaviourLog:
    return LOGS[name.stem]() if name.stem in LOGS else read_markets({name.stem: name})


@dataclass(frozen=True)
class Plan:
    """How the models of a source and of its targets are trained.

    Attributes:
        scratch: how the target's own model is.
        adapting: how one is that was carried over and of which all may change.
        thin: how one is of which little may change: that bears larger steps.
        source: how the source's model is made; `None` for the one that comes with the book, trained as its
            card says. The target's own model has the same settings.
        days: whether the logs know only the day: events that share theirs are not predicted, neither in
            training nor in evaluation, and biases begin from counts.
    """

    scratch: TrainingConfig
    adapting: TrainingConfig
    thin: TrainingConfig
    source: Recipe | None = None
    days: bool = False

    def target_mask(self, log: imt.BehaviourLog) -> BoolArray:
        """Say which events are to be predicted in training."""
        return untied_events(log) if self.days else np.ones(len(log), np.bool_)

    def begin(self, model: imt.InterestMigrationModel, log: imt.BehaviourLog) -> None:
        """Let the biases of a model begin from counts, if they are to."""
        if self.days:
            count_biases(model, log, self.target_mask(log))


FITTED = TrainingConfig(batch=16, epochs=10, keep="last", max_validation_requests=50)
# Markets have few events an item, soon overfitted: small steps, weights that are pulled back hard, and biases
# that are counted, since so few steps would never bring them as far.
FEW = replace(FITTED, batch=32, learning_rate=0.001, weight_decay=5.0)
MARKET = Plan(
    scratch=FEW,
    adapting=FEW,
    thin=replace(FEW, learning_rate=0.002, weight_decay=4.0),
    source=Recipe(
        settings={"units": 64, "attention": "state", "dropout": 0.5}, training=replace(FEW, batch=64)
    ),
    days=True,
)
PLANS = {
    "movielens-1m": Plan(
        scratch=replace(FITTED, epochs=20, learning_rate=0.005),
        adapting=FITTED,
        thin=replace(FITTED, learning_rate=0.01),
    ),
    **{f"xmarket-{name}": MARKET for name in ("uk", "de", "fr")},
    "simulated-small": Plan(
        scratch=replace(FITTED, learning_rate=0.005),
        adapting=replace(FITTED, learning_rate=0.003),
        thin=replace(FITTED, learning_rate=0.01),
    ),
}
"""By source; a market's file has the plan of the markets."""


def _known(text: str, names: Iterable[str]) -> Path:
    if text in names or Path(text).is_file():
        return Path(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no file and none of {', '.join(names)}")


OPTIONS: Options = {
    "source": {"type": partial(_known, names=PLANS), "help": f"{', '.join(PLANS)}, or a market's file"},
    "target": {"type": partial(_known, names=LOGS), "help": f"{', '.join(LOGS)}, or a market's file"},
    "--how": many([*HOWS, "scratch", *FLOORS]),
    "--share": {"type": float, "nargs": "+", "default": [1.0], "help": "of the target's users"},
    **SEEDS,
}
# Of a market's file, the name without the ending.
PATH = "transfer/{source.stem}--{target.stem}/{how}-share{share:g}-seed{seed}"


def source_model(name: Path, seed: int, runs: Path) -> tuple[imt.InterestMigrationModel, imt.BehaviourLog]:
    """Get the trained model of a source, and its log; training goes on from what `runs` holds."""
    plan, log = PLANS.get(name.stem, MARKET), _log(name)
    if plan.source is None:
        return imt.load_pretrained(name.stem, log=log), log
    split = imt.leave_one_out(log)
    recipe, mask = replace(plan.source, begin=plan.begin), plan.target_mask(split.train)
    return recipe.train(split, seed, runs / f"{name.stem}-seed{seed}", target_mask=mask)[0], log


def share_of_users(split: Split, share: float, seed: int) -> Split:
    """Keep the requests, with a share of the users, at least one, to learn from; drawn by the seed.

    Raises:
        ValueError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} is not above 0 and at most 1")
    users = np.random.default_rng([seed, 41]).permutation(len(split.train.users))
    chosen = np.zeros(len(users), np.bool_)
    chosen[users[: max(1, round(share * len(users)))]] = True
    return replace(split, train=split.train.filter(chosen[split.train.user]))


def run(source: Path, target: Path, how: str, share: float, seed: int, folder: Path) -> Result:
    """Carry a model over, adapt it, and ask it; or train one from scratch; or count.

    The epochs of the source lie two folders up, for all ways, shares and targets.
    """
    plan, log = PLANS.get(source.stem, MARKET), _log(target)
    whole = imt.leave_one_out(log)
    split = share_of_users(whole, share, seed)
    mask = plan.target_mask(split.train)
    asked = drop_tied_requests(whole, log) if plan.days else whole
    counts: Counts | None = None
    matched: int | None = None
    if how in FLOORS:
        counted = replace(split, train=split.train.filter(mask))
        model, row = FLOORS[how].train(counted, seed, folder)
    else:
        theirs, their_log = source_model(source, seed, folder.parents[1])

        def carried(train: imt.BehaviourLog) -> imt.InterestMigrationModel:
            nonlocal counts, matched
            moved = carry_over(theirs, log.catalogue, titles(their_log), titles(log))
            matched = int((~moved.matching.new("item")).sum())
            if how == "none":
                counts = Counts(sum(int(np.prod(v.shape)) for v in moved.model.weights), 0, 0)
            else:
                plan.begin(moved.model, train)
                counts = adapt(moved, **HOWS[how])
            return moved.model

        recipe = Recipe(carried, training={"none": None, "all": plan.adapting}.get(how, plan.thin))
        if how == "scratch":
            recipe = Recipe(settings=asdict(theirs.config), training=plan.scratch, begin=plan.begin)
        model, row = recipe.train(split, seed, folder, target_mask=mask)
    report = imt.evaluate(model, asked.test)
    return {
        "source": source.stem,
        "target": target.stem,
        "users": int((split.train.lengths > 0).sum()),
        "lessons": int(mask.sum()),
        "counts": counts and {**asdict(counts), "share": counts.share},
        "matched items": matched,
        "items": len(log.catalogue.items),
        "hash": asked.hash,
        "valid": figures(imt.evaluate(model, asked.valid)),
        "test": figures(report),
        "interval": intervals(report),
        **row,
        "rank": ranks(report),
        "loss": losses(report),
    }
