"""Sections on training: steps beside the peers', time to a quality, and the share of the matrix peak."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import tensorflow as tf

import imtlib as imt
from experiments.recipes import FITTED
from experiments.speed.ours import OurSteps, Setup, Way
from experiments.speed.peers import Batches, Model, Peer, keep, keep_requests, padded_batch, port
from experiments.speed.timing import Side, Turn, alternate, note, rates, ratio, short, spread, timed
from imtlib.config import TrainingConfig
from imtlib.training.batches import TrainingBatches

BATCH, RATE = FITTED.batch, FITTED.learning_rate
"""Of the packed sides on their way to a quality."""
WINDOW = {"gru": 64, "through interests": 64, "sasrec": 201}
"""Of 201 events 200 are read, as many as in the padded form."""
WAYS = {"direct": False, "through interests": True}


def make_peer(setup: Setup, peer: Peer, kind: str, form: str, model: Model, **fitting: float) -> str:
    """Have the peer make the same model with the same first weights; returns the name it has there."""
    name, ported = f"{kind}, {form}", port(model, setup.folder / "weights.npz")
    peer.ask(
        "make", name=name, form=form, fitting={**asdict(TrainingConfig()), "steps": 95, **fitting}, **ported
    )
    return name


def training_steps(setup: Setup) -> dict[str, Any]:
    """Measure steps and events a second, ours and both forms of the peers, on the same batches in turn.

    `ours, direct` and `peer, packed` compute the same numbers: the tests hold them to the same losses.
    `ours, through interests` does more. `peer, padded` is the same network as public recipes train it; its
    events a second are those of real targets, as for all.
    """
    found = {}
    for batch, window in ((BATCH, 64), (64, 64), (128, 50)):
        given, direct = setup.batches(batch, window), setup.gru(through_interests=False)
        sides: dict[str, Side] = {"ours, direct": OurSteps(direct, given)}
        sides |= _peers(setup, "gru", direct, given, padded=batch == 64)
        sides["ours, through interests"] = OurSteps(setup.gru(through_interests=True), given)
        found[f"GRU with attention, {batch} x {window}"] = _compared(setup, sides)
    for batch in (BATCH, 64):
        given, sasrec = setup.batches(batch, 200), setup.sasrec()
        sides = {"ours": OurSteps(sasrec, given)}
        sides |= _peers(setup, "sasrec", sasrec, given, padded=batch == 64)
        found[f"SASRec, {batch} x 200"] = _compared(setup, sides)
    return found


def _peers(setup: Setup, kind: str, model: Model, given: Batches, padded: bool) -> dict[str, Side]:
    if (peer := setup.peer) is None:
        return {}

    def side(form: str, batches: Batches, **how: int) -> Side:
        file = keep(setup.folder / f"{form}.npz", batches)
        name = make_peer(setup, peer, kind, form, model)

        def turn() -> Turn:
            answer = peer.ask("train", name=name, file=file, **how)
            return Turn(answer["seconds"], answer["steps"], answer["events"])

        return turn

    sides = {"peer, packed": side("packed", given)}
    if padded:
        fixed, users = padded_batch(setup.split.train, 200), setup.size(128, 16)
        sides["peer, padded"] = side("padded", [fixed], count=setup.size(3, 1), size=users)
    return sides


def _compared(setup: Setup, sides: Mapping[str, Side]) -> dict[str, Any]:
    turns = alternate(sides, setup.size(7, 2))
    pairs = [
        (a, b) for a, b in itertools.product(sides, sides) if a.startswith("ours") and b.startswith("peer")
    ]
    times = {f"{one} / {other}": ratio(turns[one], turns[other]) for one, other in pairs}
    return {**{name: rates(found) for name, found in turns.items()}, "ratio of events/s": times}


def time_to_quality(setup: Setup) -> dict[str, Any]:
    """Measure seconds of training until NDCG@10 on all validation requests, one side after another.

    Each run has a seed of its own: of the first weights, the windows, their order and the dropout. The padded
    peers take many times as long, and have a part in the first run alone.

    Ours is `imtlib.training.trainer.fit` as it stands, with the batches and the rate of
    `experiments.recipes`; its batches are made meanwhile, and the making of its graph is counted. The peers'
    reading of files is not counted. The packed peers have the same first weights, batches and rate as ours;
    the padded ones batches and a constant rate as public recipes have them, and no limit but the cap.
    Validation is left out for all, and told apart.
    """
    return {
        "target, NDCG@10": setup.target,
        "cap, minutes": setup.cap_minutes,
        "batch": BATCH,
        "learning rate": RATE,
        "runs": [_to_quality(setup, seed) for seed in range(setup.repeats)],
    }


def _to_quality(setup: Setup, seed: int) -> dict[str, Any]:
    models: dict[str, Model] = {
        "gru": setup.gru(False, seed),
        "through interests": setup.gru(True, seed),
        "sasrec": setup.sasrec(seed),
    }
    ways: dict[str, Way] = {}
    for kind, form in itertools.product(("gru", "sasrec"), ("packed",) if seed else ("packed", "padded")):
        if setup.peer is not None:
            ways[f"peer, {kind}, {form}"] = way = Way(setup)
            _peer_way(setup, setup.peer, way, kind, form, models[kind], seed)
    for name, model in models.items():
        ways[f"ours, {name}"] = way = Way(setup)
        config = TrainingConfig(batch=BATCH, learning_rate=RATE, window_length=WINDOW[name], seed=seed)
        imt.fit(model, setup.split, config=config, progress=False, callbacks=[way])
        note(f"  run {seed}, {name}: {way.history[-1]}")
    return {name: way.result() for name, way in ways.items()}


def _peer_way(setup: Setup, peer: Peer, way: Way, kind: str, form: str, model: Model, seed: int) -> None:
    batches = TrainingBatches(setup.split.train, BATCH, WINDOW[kind], seed)
    name = make_peer(setup, peer, kind, form, model, steps=len(batches), learning_rate=RATE, seed=seed)
    valid = keep_requests(setup.folder / "valid.npz", setup.split.valid, 200)
    for epoch in itertools.count() if form == "padded" else range(FITTED.epochs):
        batches.epoch = epoch
        given = batches if form == "packed" else [padded_batch(setup.split.train, 200, epoch)]
        file = keep(setup.folder / "epoch.npz", given)
        trained = peer.ask("train", name=name, file=file, size=setup.size(128, 16), seed=epoch)
        found = peer.ask("validate", name=name, file=valid)
        note(f"  run {seed}, peer, {name}: {found}")
        if way.add(trained["seconds"], found["seconds"], found["NDCG@10"]):
            break


def step_flops(model: imt.InterestMigrationModel, rows: int, length: int, targets: int) -> int:
    """Count floating-point operations of the matrix products of one training step.

    A product of n rows with a matrix of p numbers takes 2 n p forward; backward, the gradients of both sides
    take as much again, each. So with P positions, padded ones too, R real targets, d units, N items, K
    interests and transitions of rank r, in brackets those of the mixture alone,

    $$6 \\big( P \\textstyle\\sum_{\\text{kernels}} p + R\\,N\\,d \\big)
    \\;[+\\; R \\cdot 4 N K + 6 P (K + 1) K (r + 1)].$$

    Sums, exponentials, normalisations and the running sums of attention are left out.
    """
    through = model.config.through_interests
    kernels = sum(
        int(np.prod(weight.shape))
        for weight in model.weights
        if weight.path.endswith("kernel")
        and (through or not any(name in weight.path for name in ("current_interest", "migration_matrix")))
    )
    items, interests = model.catalogue.item_interests.shape
    places, rank = rows * (length + 1), model.config.rank
    flops = 6 * (places * kernels + targets * items * model.config.units)
    mixture = targets * 4 * items * interests + 6 * places * (interests + 1) * interests * (rank + 1)
    return flops + mixture * through


def peak(kind: str, width: int, rounds: int) -> list[float]:
    """Measure GFLOP/s of products of two square matrices, in each round after two."""
    one = tf.cast(tf.random.normal((width, width)), kind)
    multiply = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)))
    call = timed(lambda: float(multiply(one)))
    return [2e-9 * width**3 / turn.seconds for turn in [call() for _ in range(rounds + 2)][2:]]


def matrix_peak(setup: Setup) -> dict[str, Any]:
    """Measure the most that matrix products reach in this process, and the share of it in our steps."""
    width, given, floats = setup.size(2048, 128), setup.batches(64, 64), list[float]()
    models = {name: setup.gru(through) for name, through in WAYS.items()}

    def product() -> None:
        floats.extend(peak("float32", width, setup.size(9, 3)))

    sides: dict[str, Side] = {name: OurSteps(model, given) for name, model in models.items()}
    turns = alternate({**sides, "matrix product": timed(product)}, setup.size(5, 2))
    shares = {}
    for name, model in models.items():
        sizes = [(*arrays["item"].shape, int((target >= 0).sum())) for arrays, target in given]
        gflop = 1e-9 * sum(step_flops(model, *size) for size in sizes)
        speeds = [gflop / turn.seconds for turn in turns[name]]
        shares[name] = {
            "GFLOP a step": short(gflop / len(given)),
            "GFLOP/s": spread(speeds),
            "share of the float32 peak": spread(speed / float(np.median(floats)) for speed in speeds),
        }
    peaks = {"float32": spread(floats), "bfloat16": spread(peak("bfloat16", width, 3))}
    return {"matrices": f"{width} x {width}", "GFLOP/s": peaks, "steps, 64 x 64": shares}


def lower_precision(setup: Setup) -> dict[str, Any]:
    """Measure our steps with the products over the catalogue in float32, and with them in bfloat16."""
    given, found = setup.batches(64, 64), {}
    for name, through in WAYS.items():
        kinds = ("float32", "bfloat16")
        sides = {kind: OurSteps(setup.gru(through, precision=kind), given) for kind in kinds}
        turns = alternate(sides, setup.size(9, 2))
        found[name] = {kind: rates(measured) for kind, measured in turns.items()}
        found[name]["bfloat16 over float32"] = ratio(turns["bfloat16"], turns["float32"])
    return {"steps, 64 x 64": found}
