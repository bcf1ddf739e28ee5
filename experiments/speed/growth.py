"""Sections on growth: longer histories, and larger catalogues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import imtlib as imt
from experiments.record import peak_memory
from experiments.runner import in_own_process
from experiments.speed.ours import Setup
from experiments.speed.timing import alternate, note, per_step, short, spread, timed
from imtlib.attention import ATTENTIONS
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.losses.chunked_softmax import total_log_p
from imtlib.losses.sampled_softmax import sampled_log_p
from imtlib.recommendation import target_through_interests

UNITS, HEADS, ROWS, INTERESTS = 64, 4, 32, 16
TARGETS, NEGATIVES = 2048, 4096
WHOLE = "whole model, scoring"
LENGTHS = {"constant": (64, 128, 256, 512, 1024), "state": (64, 128, 256, 512), "self": (64, 128, 256, 512)}
WAYS = ("whole", "at once", "sampled")


def synthetic_catalogue(items: int) -> Catalogue:
    """Make a catalogue of made-up items, each with one or two interests; one scenario, two behaviours."""
    held = np.zeros((items, INTERESTS), np.bool_)
    held[np.arange(items), np.arange(items) % INTERESTS] = True
    held[np.arange(items), np.random.default_rng(0).integers(0, INTERESTS, items)] = True
    made, points = (tuple(f"{kind} {k}" for k in range(n)) for kind, n in (("i", items), ("y", INTERESTS)))
    return Catalogue(made, ("shop",), ("view", "buy"), points, held)


def synthetic_histories(catalogue: Catalogue, rows: int, length: int) -> Histories:
    """Make random histories of one length."""
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
    """Make what is run at each length T, all from one graph.

    It is attention of a kind, forward and backward on states `(32, T + 1, 64)`; or the scoring of 32
    histories by a whole model with constant queries and 2,000 items.
    """
    if kind == WHOLE:
        catalogue = synthetic_catalogue(2000)
        model = imt.InterestMigrationModel(catalogue, units=UNITS, heads=HEADS, max_length=1024)
        asked = cache(partial(synthetic_histories, catalogue, ROWS))
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

    normal = cache(lambda length: tf.random.stateless_normal((ROWS, length + 1, UNITS), (0, length)))
    return lambda length: [float(p) for p in gradient(normal(length), tf.ones((ROWS, length), tf.bool))]


def history_length(setup: Setup) -> dict[str, Any]:
    """Measure time and memory at growing lengths, and how much each doubling multiplies the time.

    The lengths take turns within one process; of memory, three processes for each point are measured.
    """
    found: dict[str, Any] = {}
    for kind, full in {**LENGTHS, WHOLE: LENGTHS["constant"]}.items():
        lengths, run = (8, 16) if setup.quick else full, growing(kind)
        turns = alternate({str(n): timed(partial(run, n)) for n in lengths}, setup.size(9, 2))
        pairs = [(n, zip(turns[str(n)], turns[str(2 * n)], strict=True)) for n in lengths[:-1]]
        found[kind] = {
            "ms": {length: per_step(times) for length, times in turns.items()},
            "memory, MB": memory_of(kind, lengths, setup.size(3, 1)),
            "times as long for twice the length": {
                f"{n} to {2 * n}": spread(b.seconds / a.seconds for a, b in pair) for n, pair in pairs
            },
        }
    medians = [ratio["median"] for ratio in found["constant"]["times as long for twice the length"].values()]
    return {"batch": ROWS, "units": UNITS, **found, "constant query, at most 2.1": max(medians) <= 2.1}


def memory_of(kind: str, sizes: Sequence[int], times: int) -> dict[str, Any]:
    """Measure the megabytes that runs of some sizes add to the peak of a process, each time of its own."""
    found = {size: [in_own_process(added_memory, kind, size) for _ in range(times)] for size in sizes}
    note(f"  memory: {kind}, {', '.join(f'{n}: {mb} MB' for n, mb in found.items())}")
    return {str(size): spread(measured) for size, measured in found.items()}


def added_memory(kind: str, size: int) -> float:
    """Run at a very small size, so that libraries, weights and graph are loaded; then at the size asked for.

    The peak is the kernel's own: it counts what TensorFlow's allocator takes from the system, freed again or
    not, which is what a machine must have.
    """
    if kind in WAYS:
        catalogue_step(kind, 20, TARGETS, NEGATIVES)()
        run = catalogue_step(kind, size, TARGETS, NEGATIVES)
    else:
        grown = growing(kind)
        grown(2)
        run = partial(grown, size)
    before = peak_memory()
    run()
    return peak_memory() - before


def catalogue_step(way: str, items: int, rows: int, negatives: int) -> Callable[[], object]:
    """Make one training step of what grows with the catalogue: the likelihood, its gradient, and AdamW.

    The softmax is `"whole"`, in stretches of rows; the same `"at once"`, with a table of all logits; or
    `"sampled"`, where some negatives stand for all items.
    """
    rng = np.random.default_rng(0)
    held = tf.constant(synthetic_catalogue(items).item_interests.astype(np.float32))
    drawn_rows = (rng.normal(0, UNITS**-0.5, (n, UNITS)).astype(np.float32) for n in (rows, items))
    query, table = (keras.Variable(values) for values in drawn_rows)
    bias = keras.Variable(np.zeros(items, np.float32))
    interest = tf.constant(rng.dirichlet(np.ones(INTERESTS), rows).astype(np.float32))
    target, drawn = (tf.constant(rng.integers(0, items, n).astype(np.int32)) for n in (rows, negatives))
    expected, learnt = tf.fill((negatives,), float(np.log(negatives / items))), [query, table, bias]
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
    """Measure a step of 2,048 rows at growing catalogues: the whole softmax, the same at once, and sampled.

    Milliseconds of all, the sides taking turns; and of the whole softmax, in stretches and at once, the
    megabytes that a step adds to the peak.
    """
    rows, negatives = setup.size(TARGETS, 64), setup.size(NEGATIVES, 32)
    catalogues = (100, 200) if setup.quick else (1000, 4000, 16_000, 64_000)
    # All logits of 64,000 items, several tables of 0.5 GB, ask for more memory than many machines have.
    held = [n for n in catalogues if n <= 16_000]
    sides = [(way, n) for n in catalogues for way in WAYS if way != "at once" or n in held]
    steps = {f"{way}, {n}": timed(catalogue_step(way, n, rows, negatives)) for way, n in sides}
    ms = {name: per_step(turns) for name, turns in alternate(steps, setup.size(7, 2)).items()}
    ratios = {n: ms[f"whole, {n}"]["median"] / ms[f"sampled, {n}"]["median"] for n in catalogues}
    return {
        "rows": rows,
        "negatives": negatives,
        "units": UNITS,
        "interests": INTERESTS,
        "ms": ms,
        "whole / sampled": {str(n): short(ratio) for n, ratio in ratios.items()},
        "memory, MB": {way: memory_of(way, held, setup.size(3, 1)) for way in ("whole", "at once")},
    }
