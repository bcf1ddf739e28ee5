"""Sections on growth: longer histories, and larger catalogues."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.speed.ours import Setup
from experiments.speed.timing import Turn, alternate, note, short, spread, timed
from imtlib.attention import ATTENTIONS
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.losses.chunked_softmax import total_log_p
from imtlib.losses.sampled_softmax import sampled_log_p
from imtlib.model import InterestMigrationModel
from imtlib.recommendation import target_through_interests

UNITS, HEADS, ROWS = 64, 4, 32
INTERESTS = 16
LESSONS, NEGATIVES = 2048, 4096
WHOLE = "whole model, scoring"
LENGTHS = {
    "constant": (64, 128, 256, 512, 1024),
    "state": (64, 128, 256, 512),
    "self": (64, 128, 256, 512),
    WHOLE: (64, 128, 256, 512, 1024),
}
WAYS = ("whole", "at once", "sampled")


def synthetic_catalogue(items: int, interests: int = INTERESTS) -> Catalogue:
    """A catalogue of made-up items, each with one or two interests; one scenario, two behaviours."""
    rng = np.random.default_rng(0)
    held = np.zeros((items, interests), np.bool_)
    held[np.arange(items), np.arange(items) % interests] = True
    held[np.arange(items), rng.integers(0, interests, items)] = True
    names = (tuple(f"{kind} {k}" for k in range(many)) for kind, many in (("i", items), ("y", interests)))
    made, points = names
    return Catalogue(made, ("shop",), ("view", "buy"), points, held)


def synthetic_histories(catalogue: Catalogue, rows: int, length: int) -> Histories:
    """Random histories of one length."""
    rng, events = np.random.default_rng(length), rows * length
    return Histories(
        catalogue,
        np.arange(rows + 1, dtype=np.int64) * length,
        rng.integers(0, len(catalogue.items), events).astype(np.int32),
        np.zeros(events, np.int32),
        rng.integers(0, 2, events).astype(np.int32),
        np.cumsum(rng.integers(0, 5000, events)).astype(np.int64),
        np.zeros(rows, np.int32),
        np.full(rows, 10**12, np.int64),
        np.zeros((rows, 0), np.float32),
    )


def growing(kind: str) -> Callable[[int], object]:
    """What is run at each length, all from one graph: a function of T.

    Args:
        kind: of attention, run forward and backward on states `(32, T + 1, 64)`; or the scoring of 32
            histories by a whole model with constant queries and 2,000 items.
    """
    if kind == WHOLE:
        catalogue = synthetic_catalogue(2000)
        model = InterestMigrationModel(catalogue, units=UNITS, heads=HEADS, max_length=1024)
        asked = cache(lambda length: synthetic_histories(catalogue, ROWS, length))
        return lambda length: model.score(asked(length))
    layer = ATTENTIONS[kind](UNITS, HEADS)
    layer(tf.zeros((1, 3, UNITS)), tf.ones((1, 2), tf.bool))

    @tf.function(input_signature=[tf.TensorSpec((None, None, UNITS)), tf.TensorSpec((None, None), tf.bool)])
    def gradient(states: Any, real: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss = tf.reduce_sum(tf.square(layer(states, real)))
        variables = [weight.value for weight in layer.trainable_weights]
        return [tf.reduce_sum(part) for part in tape.gradient(loss, [states, *variables])]

    given = cache(
        lambda length: (
            tf.random.stateless_normal((ROWS, length + 1, UNITS), (0, length)),
            tf.ones((ROWS, length), tf.bool),
        )
    )
    return lambda length: [float(part) for part in gradient(*given(length))]


def history_length(setup: Setup) -> dict[str, Any]:
    """Time and memory at growing lengths, and how much each doubling multiplies the time.

    Time: the lengths take turns within one process. Memory: three processes for each point, in
    turn with the other lengths, see `experiments/speed/memory.py`.
    """
    found: dict[str, Any] = {}
    for kind, full in LENGTHS.items():
        lengths = full if not setup.quick else (8, 16)
        run = growing(kind)
        sides = {str(length): timed(partial(run, length)) for length in lengths}
        turns = alternate(sides, setup.size(9, 2))
        doubled = {
            f"{one} to {2 * one}": spread(
                [b.seconds / a.seconds for a, b in zip(turns[str(one)], turns[str(2 * one)], strict=True)]
            )
            for one in lengths[:-1]
        }
        found[kind] = {
            "ms": {length: _milliseconds(times) for length, times in turns.items()},
            "memory, MB": memory_of(kind, lengths, setup.size(3, 1)),
            "times as long for twice the length": doubled,
        }
    medians = [ratio["median"] for ratio in found["constant"]["times as long for twice the length"].values()]
    return {"batch": ROWS, "units": UNITS, **found, "constant query, at most 2.1": max(medians) <= 2.1}


def memory_of(kind: str, sizes: Sequence[int], times: int) -> dict[str, Any]:
    """Megabytes that one run adds to the peak of a process that has run a very small one before.

    Args:
        kind: as for `growing`, or as `way` for `catalogue_step`.
        sizes: lengths of the histories, or items of the catalogues; each in a process of its own.
        times: how often each is measured.

    Returns:
        By size, the median and the spread.
    """
    script = str(Path(__file__).with_name("memory.py"))
    found: dict[str, list[float]] = {str(size): [] for size in sizes}
    for _ in range(times):
        for size, measured in found.items():
            command = [sys.executable, script, kind, size]
            said = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own
            measured.append(float(said.stdout))
    note(f"  memory: {kind}, {', '.join(f'{n}: {found[n]} MB' for n in found)}")
    return {size: spread(measured) for size, measured in found.items()}


def _milliseconds(turns: list[Turn]) -> dict[str, Any]:
    return spread([1000 * turn.seconds / turn.steps for turn in turns])


def catalogue_step(way: str, items: int, rows: int, negatives: int) -> Callable[[], object]:
    """One training step of what grows with the catalogue: the likelihood, its gradient, and AdamW.

    Args:
        way: `"whole"`, the softmax in stretches of rows; `"at once"`, the same with a table of all logits;
            or `"sampled"`.
        items: N.
        rows: queries that are learnt from at once.
        negatives: how many items stand for all where they are sampled.
    """
    rng = np.random.default_rng(0)
    held = tf.constant(synthetic_catalogue(items).item_interests.astype(np.float32))
    query, table = (
        keras.Variable(rng.normal(0, UNITS**-0.5, (n, UNITS)).astype(np.float32)) for n in (rows, items)
    )
    bias = keras.Variable(np.zeros(items, np.float32))
    interest = tf.constant(rng.dirichlet(np.ones(INTERESTS), rows).astype(np.float32))
    target = tf.constant(rng.integers(0, items, rows).astype(np.int32))
    drawn = tf.constant(rng.integers(0, items, negatives).astype(np.int32))
    expected = tf.fill(tf.shape(drawn), float(np.log(negatives / items)))
    learnt = [query, table, bias]
    optimiser = keras.optimizers.AdamW(3e-3)
    optimiser.build(learnt)

    def log_p() -> Any:
        parts = (query.value, interest, tf.convert_to_tensor(table), tf.convert_to_tensor(bias))
        if way == "sampled":
            return sampled_log_p(*parts, held, target, drawn, expected)
        if way == "whole":
            return total_log_p(*parts, held, target)
        logits = tf.matmul(parts[0], parts[2], transpose_b=True) + parts[3]
        return tf.reduce_sum(target_through_interests(logits, interest, held, target))

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = -log_p() / rows
        optimiser.apply(tape.gradient(loss, [variable.value for variable in learnt]), learnt)
        return loss

    return lambda: float(step())


def catalogue_size(setup: Setup) -> dict[str, Any]:
    """A step of 2,048 rows at growing catalogues: the whole softmax, the same at once, and 4,096 negatives.

    Milliseconds of all, the sides taking turns; and of the whole softmax, in stretches and at once, the
    megabytes that a step adds to the peak, each in a process of its own, see `experiments/speed/memory.py`.
    """
    rows, negatives = setup.size(LESSONS, 64), setup.size(NEGATIVES, 32)
    catalogues = (1000, 4000, 16_000, 64_000) if not setup.quick else (100, 200)
    # All logits of 64,000 items, several tables of 0.5 GB, ask for more memory than many machines have.
    sides = [(way, n) for n in catalogues for way in WAYS if way != "at once" or n <= 16_000]
    turns = alternate(
        {f"{way}, {n}": timed(catalogue_step(way, n, rows, negatives)) for way, n in sides}, setup.size(7, 2)
    )
    medians = {name: float(np.median([turn.seconds for turn in found])) for name, found in turns.items()}
    held = [n for way, n in sides if way == "at once"]
    return {
        "rows": rows,
        "negatives": negatives,
        "units": UNITS,
        "interests": INTERESTS,
        "ms": {name: _milliseconds(found) for name, found in turns.items()},
        "whole / sampled": {
            str(n): short(medians[f"whole, {n}"] / medians[f"sampled, {n}"]) for n in catalogues
        },
        "memory, MB": {way: memory_of(way, held, setup.size(3, 1)) for way in ("whole", "at once")},
    }
