"""Sections on use: answering one request at a time, and evaluating on a whole catalogue."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np

import imtlib as imt
from experiments.speed.growth import synthetic_catalogue, synthetic_histories
from experiments.speed.harness import Setup, Side, short, spread, timed
from imtlib.data.histories import Histories

BEST = 10


def percentiles(side: Side, count: int) -> dict[str, Any]:
    """Give p50 and p95, in milliseconds, of calls after three that are not counted."""
    took = [1000 * side() for _ in range(count + 3)][3:]
    low, middle, high, most = (short(value) for value in np.percentile(took, [25, 50, 75, 95]))
    return {"p50": middle, "p95": most, "quartiles": [low, high], "measured": count}


def best(score: Any) -> Any:
    """Give the codes of the best items of each row, best first, `(n, 10)`."""
    top = np.argpartition(-score, BEST, axis=-1)[..., :BEST]
    order = np.argsort(-np.take_along_axis(score, top, axis=-1), axis=-1)
    return np.take_along_axis(top, order, axis=-1)


def serving(setup: Setup) -> dict[str, Any]:
    """Measure milliseconds of one event's update, and of the best ten of 100,000 items.

    From a kept state the history is not read again; from a history of 100 events it is, for one user and for
    64 at once. `recommend` adds names and interests to the list, without reasons.
    """
    items, many = setup.size(100_000, 200), setup.size(64, 4)
    catalogue = synthetic_catalogue(items)
    model = imt.InterestMigrationModel(catalogue, units=setup.size(128, 8), layers=1, heads=2)
    one, batch = (synthetic_histories(catalogue, rows, setup.size(100, 6)) for rows in (1, many))
    session, event = imt.Session(model), imt.Event("i 5", "shop", "buy", 60)
    state = session.start()
    for place in range(3):
        state = session.step(state, imt.Event(f"i {place}", "shop", "view", place))
    calls = {
        "update by one event": lambda: session.step(state, event),
        "best 10 from a state": lambda: best(session.score(state)),
        "update, then best 10": lambda: best(session.score(session.step(state, event))),
        "best 10 from a history, one user": lambda: best(model.score(one)),
        f"best 10 from histories, {many} users": lambda: best(model.score(batch)),
        "recommend, one user, no reasons": lambda: model.recommend(history=one, k=BEST, reasons=0),
    }
    found = {name: percentiles(timed(call), setup.size(100, 5)) for name, call in calls.items()}
    return {"items": items, "milliseconds": found}


def evaluation(setup: Setup) -> dict[str, Any]:
    """Measure seconds to rank the whole catalogue for every test request: scoring, and ranking the scores.

    The first evaluation, which makes the graph, is not counted.
    """
    model = setup.gru(True) if setup.quick else imt.load_pretrained("movielens-1m")
    scoring, whole = list[float](), list[float]()

    def score(histories: Histories) -> Any:
        began = time.perf_counter()
        found = model.score(histories)
        scoring[-1] += time.perf_counter() - began
        return found

    watched: Any = SimpleNamespace(catalogue=model.catalogue, score=score)
    for _ in range(setup.size(6, 3)):
        scoring.append(0.0)
        whole.append(timed(lambda: imt.evaluate(watched, setup.split.test))())
    parts = {"scoring": scoring, "ranking": np.subtract(whole, scoring), "whole": whole}
    seconds = {name: spread(took[1:]) for name, took in parts.items()}
    return {"requests": len(setup.split.test), "items": len(model.catalogue.items), "seconds": seconds}
