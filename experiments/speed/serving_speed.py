"""Sections on use: answering one request at a time, and evaluating on a whole catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.speed.ours import Setup
from experiments.speed.scaling_speed import synthetic_catalogue, synthetic_histories
from experiments.speed.timing import note, short, spread
from imtlib.checkpoints import load_pretrained
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.queries import Event
from imtlib.evaluation.ranking import Scorer, evaluate
from imtlib.model import InterestMigrationModel
from imtlib.streaming import Session

BEST = 10


def percentiles(call: Callable[[], object], count: int) -> dict[str, Any]:
    """p50 and p95, in milliseconds, of calls after three that are not counted."""
    took = []
    for _ in range(count + 3):
        began = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - began))
    low, middle, high, most = np.percentile(took[3:], [25, 50, 75, 95])
    return {
        "p50": short(middle),
        "p95": short(most),
        "quartiles": [short(low), short(high)],
        "measured": count,
    }


def best(score: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Codes of the best items of each row, best first, `(n, 10)`."""
    top = np.argpartition(-score, BEST, axis=-1)[..., :BEST]
    order = np.argsort(-np.take_along_axis(score, top, axis=-1), axis=-1)
    return np.take_along_axis(top, order, axis=-1)


def serving(setup: Setup) -> dict[str, Any]:
    """Milliseconds of one event's update, and of the best ten of 100,000 items.

    From a kept state the history is not read again; from a history of 100 events it is, for one user and for
    64 at once. `recommend` adds names and interests to the list, without reasons.
    """
    items, many = setup.size(100_000, 200), setup.size(64, 4)
    catalogue = synthetic_catalogue(items)
    model = InterestMigrationModel(catalogue, units=setup.size(128, 8), layers=1, heads=2)
    one, batch = (synthetic_histories(catalogue, rows, setup.size(100, 6)) for rows in (1, many))
    session = Session(model)
    state = session.start()
    for place in range(3):
        state = session.step(state, Event(f"i {place}", "shop", "view", place))
    event = Event("i 5", "shop", "buy", 60)
    calls: dict[str, Callable[[], object]] = {
        "update by one event": lambda: session.step(state, event),
        "best 10 from a state": lambda: best(session.score(state)),
        "update, then best 10": lambda: best(session.score(session.step(state, event))),
        "best 10 from a history, one user": lambda: best(model.score(one)),
        f"best 10 from histories, {many} users": lambda: best(model.score(batch)),
        "recommend, one user, no reasons": lambda: model.recommend(history=one, k=BEST, reasons=0),
    }
    count, found = setup.size(100, 5), {}
    for name, call in calls.items():
        found[name] = percentiles(call, count)
        note(f"  {name}: {found[name]}")
    return {"items": items, "milliseconds": found}


class _Watched:
    """A scorer that adds up the seconds of its scoring."""

    def __init__(self, model: Scorer) -> None:
        self.model, self.seconds = model, 0.0

    @property
    def catalogue(self) -> Catalogue:
        """That of the model."""
        return self.model.catalogue

    def score(self, histories: Histories) -> NDArray[np.floating[Any]]:
        """The model's scores."""
        began = time.perf_counter()
        score = self.model.score(histories)
        self.seconds += time.perf_counter() - began
        return score


def evaluation(setup: Setup) -> dict[str, Any]:
    """Seconds to rank the whole catalogue for every test request: scoring, and the ranking of the scores.

    The first evaluation, which makes the graph, is not counted.
    """
    model = _Watched(setup.gru(True) if setup.quick else load_pretrained("movielens-1m"))
    seconds: dict[str, list[float]] = {"scoring": [], "ranking": [], "whole": []}
    for turn in range(setup.size(6, 3)):
        model.seconds, began = 0.0, time.perf_counter()
        evaluate(model, setup.split.test)
        whole = time.perf_counter() - began
        note(f"  evaluation in {whole:.2f} s")
        if turn:
            for name, value in zip(seconds, (model.seconds, whole - model.seconds, whole), strict=True):
                seconds[name].append(value)
    found = {name: spread(values) for name, values in seconds.items()}
    return {"requests": len(setup.split.test), "items": len(setup.log.catalogue.items), "seconds": found}
