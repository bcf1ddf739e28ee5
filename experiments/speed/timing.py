"""Sides that take turns, and what is said of their times: medians, quartiles, and ratios turn by turn."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Turn(NamedTuple):
    """What one side did while the others waited: seconds, steps or calls, and real targets learnt from."""

    seconds: float
    steps: int = 1
    events: int = 0


Side = Callable[[], Turn]


def note(text: str) -> None:
    """Write one line to stderr, so that whoever waits sees how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def short(value: float) -> float:
    """Round a figure to four digits."""
    return float(f"{value:.4g}")


def spread(values: Iterable[float]) -> dict[str, Any]:
    """Give median, quartiles and number of measured values."""
    measured = list(values)
    low, middle, high = (short(value) for value in np.percentile(measured, [25, 50, 75]))
    return {"median": middle, "quartiles": [low, high], "measured": len(measured)}


def timed(call: Callable[[], object]) -> Side:
    """Make a side of a call."""

    def turn() -> Turn:
        began = time.perf_counter()
        call()
        return Turn(time.perf_counter() - began)

    return turn


def alternate(sides: Mapping[str, Side], rounds: int) -> dict[str, list[Turn]]:
    """Let every side warm up once, then take turns, so that none always comes after the same one."""
    warm = {name: side().seconds for name, side in sides.items()}
    note(f"  seconds while warming up: {warm}")
    names, turns = list(sides), {name: list[Turn]() for name in sides}
    for k in range(rounds):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            turns[name].append(sides[name]())
        note(f"  round {k + 1} of {rounds}: { ({name: short(turns[name][-1].seconds) for name in names}) }")
    return turns


def per_step(turns: Iterable[Turn]) -> dict[str, Any]:
    """Give milliseconds a step or call."""
    return spread(1000 * turn.seconds / turn.steps for turn in turns)


def rates(turns: Sequence[Turn]) -> dict[str, Any]:
    """Give milliseconds a step, and steps and events a second."""
    return {
        "steps/s": spread(turn.steps / turn.seconds for turn in turns),
        "ms/step": per_step(turns),
        "events/s": spread(turn.events / turn.seconds for turn in turns),
        "events/step": short(turns[0].events / turns[0].steps),
    }


def ratio(one: Sequence[Turn], other: Sequence[Turn]) -> dict[str, Any]:
    """Give how many times as many events a second `one` learns from as `other`, round by round."""
    both = zip(one, other, strict=True)
    return spread((a.events / a.seconds) / (b.events / b.seconds) for a, b in both)
