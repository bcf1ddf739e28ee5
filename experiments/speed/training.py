"""Sections on training: steps, the share of the matrix peak, lower precision, and the way to a quality."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import imtlib as imt
from experiments.recipes import FITTED
from experiments.speed.harness import Setup, Side, alternate, note, short, spread, timed
from experiments.speed.peers import Batches, Model, Peer, padded
from imtlib.config import TrainingConfig
from imtlib.layers.backend import signature
from imtlib.training.batches import TrainingBatches
from imtlib.training.trainer import compile_for_training, warm_cosine
from imtlib.types import FloatArray

BATCH, RATE = FITTED.batch, FITTED.learning_rate
TARGET = 0.15
"""NDCG@10 on the validation requests, on the way to a quality."""
WINDOW = {"gru": 64, "through interests": 64, "sasrec": 201}
"""There. Of 201 events 200 are read, as many as in the padded form."""
Work = Mapping[str, tuple[Side, Batches]]
"""Sides by name, each with the batches that it trains on in a turn."""


def rates(work: Work, rounds: int) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """Let sides train in turn.

    Returns:
        Of each side what a result file holds: milliseconds a step, and steps and events a second, where
        events are real targets, whatever the form; and the events a second of each of its turns.
    """
    found, speed = {}, {}
    for name, seconds in alternate({name: side for name, (side, _) in work.items()}, rounds).items():
        batches = work[name][1]
        steps, events = len(batches), sum(int((target >= 0).sum()) for _, target in batches)
        speed[name] = events / seconds
        found[name] = {
            "steps/s": spread(steps / seconds),
            "ms/step": spread(1000 * seconds / steps),
            "events/s": spread(speed[name]),
            "events/step": short(events / steps),
        }
    return found, speed


def our_steps(model: Model, batches: Batches, steps: int = 95) -> Side:
    """Make a side that takes one training step on each batch; one graph serves every size, as in `fit`."""
    compile_for_training(model, TrainingConfig(), steps)
    arrays, target = batches[0]
    shapes = (signature(arrays), tf.TensorSpec((None, None), target.dtype))
    step = tf.function(lambda *batch: model.train_step(batch), input_signature=shapes)

    def train() -> None:
        for batch in batches:
            # Read after each step, as a progress bar reads it.
            float(step(*batch)["loss"])

    return timed(train)


def training_steps(setup: Setup) -> dict[str, Any]:
    """Measure steps and events a second, ours and both forms of the peers, on the same batches in turn.

    `ours, direct` and `peer, packed` compute the same numbers: the tests hold them to the same losses.
    `ours, through interests` does more. `peer, padded` is the same network as public recipes train it, 128
    users a batch.
    """
    gru = {"ours, direct": setup.gru(False), "ours, through interests": setup.gru(True)}
    kinds: dict[str, tuple[int, Mapping[str, Model]]] = {
        "GRU with attention": (64, gru),
        "SASRec": (200, {"ours": setup.sasrec()}),
    }
    found = {}
    for (kind, (window, ours)), batch in itertools.product(kinds.items(), (BATCH, 64)):
        given = setup.batches(batch, window)
        work = {name: (our_steps(model, given), given) for name, model in ours.items()}
        forms = {"packed": given} if setup.peers else {}
        if setup.peers and batch == 64:
            forms["padded"] = padded(setup.split.train, setup.size(128, 16))[: setup.size(3, 1)]
        with ExitStack() as stack:
            for form, batches in forms.items():
                peer = stack.enter_context(closing(Peer(setup.peers, form, next(iter(ours.values())))))
                work[f"peer, {form}"] = (partial(peer.train, batches, [RATE] * len(batches)), batches)
            row, speed = rates(work, setup.size(7, 2))
        pairs = itertools.product(ours, speed.keys() - ours)
        times = {f"{one} / {other}": spread(speed[one] / speed[other]) for one, other in pairs}
        found[f"{kind}, {batch} x {window}"] = {**row, "ratio of events/s": times}
    return found


def step_flops(model: imt.InterestMigrationModel, rows: int, length: int, targets: int) -> int:
    """Count floating-point operations of the matrix products of one training step, softmax over items.

    A product of n rows with a matrix of p numbers takes 2 n p forward; backward, the gradients of both sides
    take as much again, each. So with P positions, padded ones too, R real targets, d units and N items,

    $$6 \\big( P \\textstyle\\sum_{\\text{kernels}} p + R\\,N\\,d \\big).$$

    Sums, exponentials, normalisations and the running sums of attention are left out.
    """
    unused = ("current_interest", "migration_matrix")
    kernels = sum(
        int(np.prod(weight.shape))
        for weight in model.weights
        if weight.path.endswith("kernel") and not any(name in weight.path for name in unused)
    )
    return 6 * (rows * (length + 1) * kernels + targets * len(model.catalogue.items) * model.config.units)


def peak(kind: str, width: int, rounds: int) -> list[float]:
    """Measure GFLOP/s of products of two square matrices, in each round after two."""
    one = tf.cast(tf.random.normal((width, width)), kind)
    multiply = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)))
    call = timed(lambda: float(multiply(one)))
    return [2e-9 * width**3 / seconds for seconds in [call() for _ in range(rounds + 2)][2:]]


def matrix_peak(setup: Setup) -> dict[str, Any]:
    """Measure the most that matrix products reach in this process, and the share of it in our steps."""
    width, given, floats = setup.size(2048, 128), setup.batches(64, 64), list[float]()
    model = setup.gru(through_interests=False)

    def product() -> None:
        floats.extend(peak("float32", width, setup.size(9, 3)))

    turns = alternate({"steps": our_steps(model, given), "product": timed(product)}, setup.size(5, 2))
    sizes = [(*arrays["item"].shape, int((target >= 0).sum())) for arrays, target in given]
    gflop = 1e-9 * sum(step_flops(model, *size) for size in sizes)
    speeds = gflop / turns["steps"]
    steps = {
        "GFLOP a step": short(gflop / len(given)),
        "GFLOP/s": spread(speeds),
        "share of the float32 peak": spread(speeds / np.median(floats)),
    }
    peaks = {"float32": spread(floats), "bfloat16": spread(peak("bfloat16", width, 3))}
    return {"matrices": f"{width} x {width}", "GFLOP/s": peaks, "steps, 64 x 64": {"direct": steps}}


def lower_precision(setup: Setup) -> dict[str, Any]:
    """Measure our steps with the products over the catalogue in float32, and with them in bfloat16."""
    given, found = setup.batches(64, 64), {}
    for name, through in {"direct": False, "through interests": True}.items():
        work = {
            kind: (our_steps(setup.gru(through, precision=kind), given), given)
            for kind in ("float32", "bfloat16")
        }
        row, speed = rates(work, setup.size(9, 2))
        found[name] = {**row, "bfloat16 over float32": spread(speed["bfloat16"] / speed["float32"])}
    return {"steps, 64 x 64": found}


class Way(keras.callbacks.Callback):
    """What epochs took and reached, until the target or the cap; as a callback, `fit` ends there."""

    def __init__(self, cap_minutes: float, target: float = TARGET) -> None:
        super().__init__()
        self.cap, self.target, self.history = 60 * cap_minutes, target, list[dict[str, float]]()
        self.trained = self.validated = self.began = self.ended = 0.0
        self.reached = False

    def add(self, seconds: float, validation: float, quality: float) -> bool:
        """Add an epoch; returns whether it was the last."""
        self.trained, self.validated = self.trained + seconds, self.validated + validation
        self.history.append({"seconds": round(self.trained, 2), "NDCG@10": round(quality, 5)})
        self.reached = quality >= self.target
        note(f"  {self.history[-1]}")
        return self.reached or self.trained >= self.cap

    def result(self) -> dict[str, Any]:
        """Give what the result file holds."""
        return {
            "reached": self.reached,
            "seconds of training": round(self.trained, 1),
            "epochs": len(self.history),
            "seconds of validation": round(self.validated, 1),
            "history": self.history,
        }

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Begin to take the time."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Take the time: the last batch's is that of the epoch."""
        self.ended = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write down what `fit` has measured before it calls here."""
        times = (self.ended - self.began, time.perf_counter() - self.ended)
        self.model.stop_training |= self.add(*times, (logs or {})["val_NDCG@10"])


def time_to_quality(setup: Setup) -> dict[str, Any]:
    """Measure seconds of training until NDCG@10 on all validation requests, one side after another.

    Each run has a seed of its own: of the first weights, the windows, their order and the dropout. The padded
    peers take many times as long, and have a part in the first run alone.

    Ours is `imtlib.training.trainer.fit` as it stands, with the batches and the rate of
    `experiments.recipes`; its batches are made meanwhile, and the making of its graph is counted. That the
    peers receive theirs is not counted. The packed peers have the same first weights, batches and rate as
    ours; the padded ones batches and a constant rate as public recipes have them, and no limit but the cap.
    Validation is left out for all, and told apart.
    """
    return {
        "target, NDCG@10": TARGET,
        "cap, minutes": setup.cap_minutes,
        "batch": BATCH,
        "learning rate": RATE,
        "runs": [_run(setup, seed) for seed in range(setup.repeats)],
    }


def _run(setup: Setup, seed: int) -> dict[str, Any]:
    models: dict[str, Model] = {
        "gru": setup.gru(False, seed),
        "through interests": setup.gru(True, seed),
        "sasrec": setup.sasrec(seed),
    }
    ways = {}
    forms = ("packed",) if seed else ("packed", "padded")
    for kind, form in itertools.product(("gru", "sasrec") if setup.peers else (), forms):
        with closing(Peer(setup.peers, form, models[kind], seed)) as peer:
            ways[f"peer, {kind}, {form}"] = _peer_way(setup, peer, WINDOW[kind], seed)
    for name, model in models.items():
        ways[f"ours, {name}"] = way = Way(setup.cap_minutes)
        config = TrainingConfig(batch=BATCH, learning_rate=RATE, window_length=WINDOW[name], seed=seed)
        imt.fit(model, setup.split, config=config, progress=False, callbacks=[way])
    return {name: way.result() for name, way in ways.items()}


def _peer_way(setup: Setup, peer: Peer, window: int, seed: int) -> Way:
    way, log = Way(setup.cap_minutes), setup.split.train
    packed = TrainingBatches(log, BATCH, window, seed)
    steps = len(packed)
    rate = warm_cosine(RATE, steps, FITTED.epochs)
    epochs: Iterable[int] = itertools.count() if peer.form == "padded" else range(FITTED.epochs)
    for packed.epoch in epochs:
        if peer.form == "padded":
            given = padded(log, setup.size(128, 16), epoch=packed.epoch)
            chosen = [0.001] * len(given)
        else:
            given = list(packed)
            chosen = [float(rate(packed.epoch * steps + step)) for step in range(steps)]
        seconds, began = peer.train(given, chosen), time.perf_counter()
        quality = imt.evaluate(peer, setup.split.valid)["NDCG@10"]
        if way.add(seconds, time.perf_counter() - began, quality):
            break
    return way
