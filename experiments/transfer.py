"""Transfer, measured: `python -m experiments.transfer movielens-1m movielens-100k --how lora-4 --share 0.1`.

A model of the source is carried over to the target, adapted to a share of the target's users, and asked about
all of them; `scratch` is the same model, trained on that share untied_events. Besides the logs known by name,
source and target may each be the path of a market's file, as `imtlib.datasets.xmarket.read_markets` reads it.
One JSON file a run; a run that has its file is left untied_events.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from experiments.benchmark import INTERVALS, figures, machine, write
from imtlib.baselines.counting import Popularity, SmoothedTransitions
from imtlib.checkpoints import load_pretrained
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split, leave_one_out
from imtlib.datasets.download import fetch
from imtlib.datasets.registry import load_dataset
from imtlib.datasets.xmarket import XMARKET, read_markets
from imtlib.evaluation.protocols import drop_tied_requests, untied_events
from imtlib.evaluation.ranking import Scorer, evaluate
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.training.initialisation import count_biases
from imtlib.training.trainer import fit
from imtlib.transfer.adapters import Counts, adapt
from imtlib.transfer.remapping import carry_over, titles
from imtlib.types import BoolArray

HOWS: dict[str, dict[str, Any]] = {
    "none": {},
    "heads": {"how": "heads"},
    "norms": {"how": "norms"},
    "lora-1": {"how": "lora", "rank": 1},
    "lora-4": {"how": "lora", "rank": 4},
    "lora-16": {"how": "lora", "rank": 16},
    "all": {"how": "all"},
}
"""Arguments of `imtlib.transfer.adapters.adapt`; `"none"` changes nothing."""
FLOORS: dict[str, Callable[[BehaviourLog], Scorer]] = {
    "popularity": Popularity,
    "smoothed-transitions": SmoothedTransitions,
}


def _market(name: str) -> BehaviourLog:
    return read_markets({name: fetch(XMARKET) / f"{name}_5core.txt"})


LOGS: dict[str, Callable[[], BehaviourLog]] = {
    **{name: partial(load_dataset, name) for name in ("movielens-1m", "movielens-100k", "simulated-small")},
    **{f"xmarket-{name}": partial(_market, name) for name in ("uk", "de", "fr")},
    # New people under the laws of simulated-small, and people under other laws with the same names.
    "simulated-same-laws": lambda: simulate(400, seed=1)[0],
    "simulated-other-laws": lambda: simulate(400, world=1)[0],
}


# Kept, as one command makes many runs of the same logs.
@cache
def _log(name: str) -> BehaviourLog:
    return LOGS[name]() if name in LOGS else read_markets({_label(name): name})


def _label(name: str) -> str:
    """What a result calls a log: its name, or that of its file without the ending."""
    return name if name in LOGS else Path(name).stem


@dataclass(frozen=True)
class Plan:
    """How the models of a source and of its targets are made and trained.

    Attributes:
        settings: of the source's model; the targets' have the same.
        source: arguments of `imtlib.training.trainer.fit` for the source; `None` for the model that comes
            with the book, trained as its card says.
        scratch: for the target's own model.
        adapting: for a model that was carried over and of which all may change.
        thin: for one of which little may change: that bears larger steps.
        begin: what is done to a model before it is fitted, with the log and its lessons; by default nothing.
        asked: which requests of a target's split are asked: where a log knows only the day, the
            drop_tied_requests ones.
        taught: which events are lessons, to models and floors alike; by default all.
    """

    settings: dict[str, Any]
    source: dict[str, Any] | None
    scratch: dict[str, Any]
    adapting: dict[str, Any]
    thin: dict[str, Any]
    begin: Callable[[InterestMigrationModel, BehaviourLog, BoolArray], None] = lambda model, log, taught: None
    asked: Callable[[Split, BehaviourLog], Split] = lambda split, log: split
    taught: Callable[[BehaviourLog], BoolArray] = lambda log: np.ones(len(log), np.bool_)


FITTED: dict[str, Any] = {"keep": "last", "max_validation_requests": 50, "progress": False}
# Markets have few lessons, soon learnt by heart: small steps, weights that are pulled back hard, and biases
# that are counted, since so few steps would never bring them as far.
FEW: dict[str, Any] = {**FITTED, "learning_rate": 0.001, "weight_decay": 5.0}
MARKET = Plan(
    {"units": 64, "attention": "state", "dropout": 0.5},
    source={**FEW, "epochs": 10},
    scratch={**FEW, "batch": 32, "epochs": 10},
    adapting={**FEW, "batch": 32, "epochs": 10},
    thin={**FEW, "batch": 32, "epochs": 10, "learning_rate": 0.002, "weight_decay": 4.0},
    begin=count_biases,
    asked=drop_tied_requests,
    taught=untied_events,
)
PLANS = {
    "movielens-1m": Plan(
        settings={},
        source=None,
        scratch={**FITTED, "batch": 16, "epochs": 20, "learning_rate": 0.005},
        adapting={**FITTED, "batch": 16, "epochs": 10},
        thin={**FITTED, "batch": 16, "epochs": 10, "learning_rate": 0.01},
    ),
    **{f"xmarket-{name}": MARKET for name in ("uk", "de", "fr")},
    "simulated-small": Plan(
        settings={},
        source=None,
        scratch={**FITTED, "batch": 16, "epochs": 10, "learning_rate": 0.005},
        adapting={**FITTED, "batch": 16, "epochs": 10, "learning_rate": 0.003},
        thin={**FITTED, "batch": 16, "epochs": 10, "learning_rate": 0.01},
    ),
}
"""By source; a market's file has the plan of the markets."""


def source_model(name: str, plan: Plan, seed: int, runs: Path) -> tuple[InterestMigrationModel, BehaviourLog]:
    """The trained model of a source, and its log; training goes on from what `runs` holds."""
    log = _log(name)
    if plan.source is None:
        return load_pretrained(name), log
    split = leave_one_out(log)
    keras.utils.set_random_seed(seed)
    model = InterestMigrationModel.for_log(split.train, **plan.settings)
    taught = plan.taught(split.train)
    plan.begin(model, split.train, taught)
    fit(
        model, split, **plan.source, target_mask=taught, seed=seed, folder=runs / f"{_label(name)}-seed{seed}"
    )
    return model, log


def share_of_users(split: Split, share: float, seed: int) -> Split:
    """The same requests, with a share of the users, at least one, to learn from; drawn by the seed.

    Raises:
        ValueError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} is not above 0 and at most 1")
    users = np.random.default_rng([seed, 41]).permutation(len(split.train.users))
    chosen = np.zeros(len(users), np.bool_)
    chosen[users[: max(1, round(share * len(users)))]] = True
    return replace(split, train=split.train.filter(chosen[split.train.user]))


def run(source: str, target: str, how: str, share: float, seed: int, runs: Path) -> dict[str, Any]:
    """Carry a model over, adapt it, and ask it; or train one from scratch; or count.

    Args:
        source, target: names of logs, or paths of markets' files.
        how: of `HOWS`, `"scratch"`, or one of `FLOORS`.
        share: of the target's users, from 0 to 1, that may be learnt from.
        seed: of the share, of first weights and of training.
        runs: folder where epochs of sources are kept.

    Returns:
        What the result file holds: see `experiments/results/README.md`.
    """
    plan, log = PLANS.get(source, MARKET), _log(target)
    whole = leave_one_out(log)
    split = share_of_users(whole, share, seed)
    asked = plan.asked(whole, log)
    began = time.monotonic()
    model, counts, matched = _made(source, how, plan, split, log, seed, runs)
    report = evaluate(model, asked.test)
    return {
        "source": _label(source),
        "target": _label(target),
        "how": how,
        "share": share,
        "seed": seed,
        "users": int((split.train.lengths > 0).sum()),
        "lessons": int(plan.taught(split.train).sum()),
        "counts": None if counts is None else {**asdict(counts), "share": counts.share},
        "matched items": matched,
        "items": len(log.catalogue.items),
        "settings": asdict(model.config) if hasattr(model, "config") else {},
        "fitting": _fitting(plan, how) or None,
        "hash": asked.hash,
        "valid": figures(evaluate(model, asked.valid)),
        "test": figures(report),
        "interval": {name: report.interval(name) for name in INTERVALS},
        "minutes": round((time.monotonic() - began) / 60, 2),
        "machine": machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "numpy", "imtlib")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "rank": [int(r) if np.isfinite(r) else None for r in report.rank],
        "loss": [None if np.isnan(x) else round(float(x), 4) for x in report.loss],
    }


def _fitting(plan: Plan, how: str) -> dict[str, Any]:
    """Arguments of `fit`; empty where nothing is fitted."""
    if how in (*FLOORS, "none"):
        return {}
    return {"scratch": plan.scratch, "all": plan.adapting}.get(how, plan.thin)


def _made(
    source: str, how: str, plan: Plan, split: Split, log: BehaviourLog, seed: int, runs: Path
) -> tuple[Scorer, Counts | None, int | None]:
    taught, fitting = plan.taught(split.train), _fitting(plan, how)
    if how in FLOORS:
        return FLOORS[how](split.train.filter(taught)), None, None
    theirs, their_log = source_model(source, plan, seed, runs)
    keras.utils.set_random_seed(seed)
    if how == "scratch":
        model = InterestMigrationModel.for_log(split.train, **theirs.settings)
        plan.begin(model, split.train, taught)
        fit(model, split, **fitting, target_mask=taught, seed=seed)
        return model, None, None
    moved = carry_over(theirs, log.catalogue, titles(their_log), titles(log))
    matched = int((~moved.matching.new("item")).sum())
    if how == "none":
        return moved.model, Counts(sum(int(np.prod(v.shape)) for v in moved.model.weights), 0, 0), matched
    plan.begin(moved.model, split.train, taught)
    counts = adapt(moved, **HOWS[how])
    fit(moved.model, split, **fitting, target_mask=taught, seed=seed)
    return moved.model, counts, matched


def _known(text: str, names: Iterable[str]) -> str:
    if text in names or Path(text).is_file():
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no file and none of {', '.join(names)}")


def _source(text: str) -> str:
    return _known(text, PLANS)


def _target(text: str) -> str:
    return _known(text, LOGS)


def main() -> None:
    """Parse the arguments; run what has no file yet; print the figures."""
    parser = argparse.ArgumentParser(prog="python -m experiments.transfer", description=__doc__)
    parser.add_argument("source", type=_source, help=f"{', '.join(PLANS)}, or the path of a market's file")
    parser.add_argument("target", type=_target, help=f"{', '.join(LOGS)}, or the path of a market's file")
    known = [*HOWS, "scratch", *FLOORS]
    parser.add_argument("--how", choices=known, nargs="+", default=known)
    parser.add_argument("--share", type=float, nargs="+", default=[1.0], help="of the target's users")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--results", type=Path, default=Path("experiments/results"), help="where the files go"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where epochs are kept")
    given = parser.parse_args()
    for seed, share, how in itertools.product(given.seed, given.share, given.how):
        pair = f"{_label(given.source)}--{_label(given.target)}"
        path = given.results / "transfer" / pair / f"{how}-share{share:g}-seed{seed}.json"
        if path.exists():
            print(f"{path} is there already. To run it again, move it away.")
            continue
        result = run(given.source, given.target, how, share, seed, given.runs / "transfer")
        write(result, path)
        print(path, {metric: result["test"][metric] for metric in INTERVALS}, f"{result['minutes']} minutes")


if __name__ == "__main__":
    main()
