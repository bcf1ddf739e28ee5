"""Sides that take turns, and what is said of their times: medians, quartiles, and ratios turn by turn."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Turn:
    """What one side did while the others waited.

    Attributes:
        seconds: how long it took.
        steps: training steps, or calls.
        events: real targets that were learnt from; 0 where there are none.
    """

    seconds: float
    steps: int
    events: int = 0


Side = Callable[[], Turn]


def note(text: str) -> None:
    """One line on stderr, so that whoever waits sees how far it is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def short(value: float) -> float:
    """A figure to four digits."""
    return float(f"{value:.4g}")


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles and number of measured values, to four digits."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": short(middle), "quartiles": [short(low), short(high)], "measured": len(values)}


def alternate(sides: Mapping[str, Side], rounds: int) -> dict[str, list[Turn]]:
    """Let every side warm up once, then let them take turns.

    Each round begins with another side, so that none always comes after the same one.

    Args:
        sides: by name, what does one turn.
        rounds: turns of each side that are counted.

    Returns:
        By name, the turns in order.
    """
    for name, side in sides.items():
        turn = side()
        note(f"  warm: {name}, {turn.steps} steps in {turn.seconds:.2f} s")
    names, turns = list(sides), {name: list[Turn]() for name in sides}
    for k in range(rounds):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            turns[name].append(sides[name]())
        note(f"  round {k + 1} of {rounds}: " + ", ".join(f"{n} {turns[n][-1].seconds:.2f} s" for n in names))
    return turns


def rates(turns: Sequence[Turn]) -> dict[str, Any]:
    """Milliseconds a step, steps a second and, where events are counted, events a second."""
    found: dict[str, Any] = {
        "steps/s": spread([turn.steps / turn.seconds for turn in turns]),
        "ms/step": spread([1000 * turn.seconds / turn.steps for turn in turns]),
    }
    if turns[0].events:
        found["events/s"] = spread([turn.events / turn.seconds for turn in turns])
        found["events/step"] = short(turns[0].events / turns[0].steps)
    return found


def ratio(one: Sequence[Turn], other: Sequence[Turn]) -> dict[str, Any]:
    """How many times as many events a second `one` learns from as `other`, round by round."""
    return spread(
        [
            (a.events / a.seconds) / (b.events / b.seconds)
            for a, b in zip(one, other, strict=True)
            if a.events and b.events
        ]
    )


def timed(call: Callable[[], object], steps: int = 1, events: int = 0) -> Side:
    """A side that makes a call `steps` times and takes the time."""

    def turn() -> Turn:
        began = time.perf_counter()
        for _ in range(steps):
            call()
        return Turn(time.perf_counter() - began, steps, events)

    return turn
