"""Sections on growth: longer histories, and larger catalogues."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import imtlib as imt
from experiments.record import peak_memory
from experiments.runner import in_own_process
from experiments.speed.harness import Setup, alternate, note, short, spread, timed
from imtlib.attention import ATTENTIONS
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.queries import history_of_events
from imtlib.losses.chunked_softmax import total_log_p
from imtlib.losses.sampled_softmax import sampled_log_p
from imtlib.recommendation import target_through_interests

UNITS, HEADS, ROWS, INTERESTS = 64, 4, 32, 16
TARGETS, NEGATIVES = 2048, 4096
WHOLE = "whole model, scoring"
LENGTHS = (64, 128, 256, 512, 1024)
WAYS = ("whole", "at once", "sampled")
Work = Callable[[], object]


def synthetic_catalogue(items: int) -> Catalogue:
    """Make a catalogue of made-up items, each with one or two interests; one scenario, two behaviours."""
    held = np.zeros((items, INTERESTS), np.bool_)
    held[np.arange(items), np.arange(items) % INTERESTS] = True
    held[np.arange(items), np.random.default_rng(0).integers(0, INTERESTS, items)] = True
    made, points = (tuple(f"{kind} {k}" for k in range(n)) for kind, n in (("i", items), ("y", INTERESTS)))
    return Catalogue(made, ("shop",), ("view", "buy"), points, held)


def synthetic_histories(catalogue: Catalogue, rows: int, length: int) -> Histories:
    """Make a random history of some length, in several rows."""
    items = np.random.default_rng(length).integers(0, len(catalogue.items), length)
    events = [imt.Event(f"i {item}", "shop", "buy", 60 * place) for place, item in enumerate(items)]
    return history_of_events(catalogue, events).take(np.zeros(rows, np.int32))


def catalogue_step(way: str, items: int) -> Work:
    """Make one training step of what grows with the catalogue: the likelihood, its gradient, and AdamW.

    The softmax is `"whole"`, in stretches of rows; the same `"at once"`, with a table of all logits; or
    `"sampled"`, where some negatives stand for all items.
    """
    rng = np.random.default_rng(0)
    held = tf.constant(synthetic_catalogue(items).item_interests.astype(np.float32))
    drawn_rows = (rng.normal(0, UNITS**-0.5, (n, UNITS)).astype(np.float32) for n in (TARGETS, items))
    query, table = (keras.Variable(values) for values in drawn_rows)
    bias = keras.Variable(np.zeros(items, np.float32))
    interest = tf.constant(rng.dirichlet(np.ones(INTERESTS), TARGETS).astype(np.float32))
    target, drawn = (tf.constant(rng.integers(0, items, n).astype(np.int32)) for n in (TARGETS, NEGATIVES))
    expected, learnt = tf.fill((NEGATIVES,), float(np.log(NEGATIVES / items))), [query, table, bias]
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
            loss = -log_p() / TARGETS
        optimiser.apply(tape.gradient(loss, [variable.value for variable in learnt]), learnt)
        return loss

    return lambda: float(step())


def growing(kind: str) -> Callable[[int], Work]:
    """Make what gives, for each size, what is to be run and measured.

    It is a step of a catalogue of that many items. Or, at that length T and all from one graph, attention of
    a kind, forward and backward on states `(32, T + 1, 64)`; or the scoring of 32 histories by a whole model
    with constant queries and 2,000 items.
    """
    if kind in WAYS:
        return partial(catalogue_step, kind)
    if kind == WHOLE:
        catalogue = synthetic_catalogue(2000)
        model = imt.InterestMigrationModel(catalogue, units=UNITS, heads=HEADS, max_length=LENGTHS[-1])
        asked = cache(lambda length: synthetic_histories(catalogue, ROWS, length))
        return lambda length: lambda: model.score(asked(length))
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
    return lambda length: lambda: list(map(float, gradient(normal(length), tf.ones((ROWS, length), tf.bool))))


def memory_of(kind: str, sizes: Iterable[int], times: int) -> dict[str, Any]:
    """Measure the megabytes that runs of some sizes add to the peak of a process, each time of its own."""
    found = {}
    for size in sizes:
        measured = [in_own_process(added_memory, kind, size) for _ in range(times)]
        note(f"  memory: {kind}, {size}: {measured} MB")
        found[str(size)] = spread(measured)
    return found


def added_memory(kind: str, size: int) -> float:
    """Run at a very small size, so that libraries, weights and graph are loaded; then at the size asked for.

    The peak is the kernel's own: it counts what TensorFlow's allocator takes from the system, freed again or
    not, which is what a machine must have.
    """
    sized = growing(kind)
    sized(2)()
    run = sized(size)
    before = peak_memory()
    run()
    return peak_memory() - before


def history_length(setup: Setup) -> dict[str, Any]:
    """Measure time and memory at growing lengths, and how much each doubling multiplies the time.

    The lengths take turns within one process; of memory, three processes for each point are measured.
    """
    found: dict[str, Any] = {}
    for kind in ("constant", "state", "self", WHOLE):
        # The table of all pairs of 1,024 events asks for more memory than many machines have.
        full = LENGTHS[:-1] if kind in ("state", "self") else LENGTHS
        lengths, run = (8, 16) if setup.quick else full, growing(kind)
        seconds = alternate({str(n): timed(run(n)) for n in lengths}, setup.size(9, 2))
        found[kind] = {
            "ms": {length: spread(1000 * took) for length, took in seconds.items()},
            "memory, MB": memory_of(kind, lengths, setup.size(3, 1)),
            "times as long for twice the length": {
                f"{n} to {2 * n}": spread(seconds[str(2 * n)] / seconds[str(n)]) for n in lengths[:-1]
            },
        }
    return {"batch": ROWS, "units": UNITS, **found}


def catalogue_size(setup: Setup) -> dict[str, Any]:
    """Measure a step of 2,048 rows at growing catalogues: the whole softmax, the same at once, and sampled.

    Milliseconds of all, the sides taking turns; and of the whole softmax, in stretches and at once, the
    megabytes that a step adds to the peak.
    """
    catalogues = (100, 200) if setup.quick else (1000, 4000, 16_000, 64_000)
    # All logits of 64,000 items, several tables of 0.5 GB, ask for more memory than many machines have.
    held = [n for n in catalogues if n <= 16_000]
    sides = [(way, n) for n in catalogues for way in WAYS if way != "at once" or n in held]
    steps = {f"{way}, {n}": timed(catalogue_step(way, n)) for way, n in sides}
    ms = {name: spread(1000 * took) for name, took in alternate(steps, setup.size(7, 2)).items()}
    ratios = {n: ms[f"whole, {n}"]["median"] / ms[f"sampled, {n}"]["median"] for n in catalogues}
    return {
        "rows": TARGETS,
        "negatives": NEGATIVES,
        "units": UNITS,
        "interests": INTERESTS,
        "ms": ms,
        "whole / sampled": {str(n): short(ratio) for n, ratio in ratios.items()},
        "memory, MB": {way: memory_of(way, held, setup.size(3, 1)) for way in ("whole", "at once")},
    }
