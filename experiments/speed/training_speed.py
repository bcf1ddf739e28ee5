"""Sections on training: steps beside the peers', time to a quality, and the share of the matrix peak."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from experiments.recipes import FITTED
from experiments.speed.ours import FITTING, Batches, OurRun, OurSteps, PeerSteps, Setup
from experiments.speed.peers import Peer
from experiments.speed.porting import Model, keep_batches, keep_validation, keep_weights, padded_batch, sizes
from experiments.speed.timing import Side, Turn, alternate, note, rates, ratio, short, spread, timed
from imtlib.losses.chunked_softmax import PRECISIONS
from imtlib.model import InterestMigrationModel
from imtlib.training.batches import TrainingBatches

GRU, SASREC = "GRU with attention", "SASRec"
PADDED = 128
"""Users a batch in the padded form."""
BATCH, RATE = FITTED["batch"], FITTED["learning_rate"]
"""Of the packed sides on their way to a quality."""


def training_steps(setup: Setup) -> dict[str, Any]:
    """Steps and events a second, ours and both forms of the peers, on the same batches in turn.

    `ours, direct` and `peer, packed` compute the same numbers: `tests/test_speed.py` holds them to the same
    loss. `ours, through interests` does more. `peer, padded` is the same network as public recipes train it;
    its events a second are those of real targets, as for all.
    """
    found = {}
    for batch, stretch in ((BATCH, 64), (64, 64), (128, 50)):
        given = setup.batches(batch, stretch, setup.size(10, 2))
        direct = setup.gru(through_interests=False)
        sides = _sides(setup, "gru", direct, given, padded=batch == 64)
        mixture = {"ours, through interests": OurSteps(setup.gru(through_interests=True), given)}
        found[f"{GRU}, {batch} x {stretch}"] = _compared(setup, {**sides, **mixture})
    sasrec = setup.sasrec()
    for batch in (BATCH, 64):
        given = setup.batches(batch, 200, setup.size(10, 2))
        sides = _sides(setup, "sasrec", sasrec, given, padded=batch == 64)
        found[f"{SASREC}, {batch} x 200"] = _compared(setup, sides)
    return found


def _sides(setup: Setup, kind: str, model: Model, given: Batches, padded: bool) -> dict[str, Side]:
    sides: dict[str, Side] = {}
    if setup.peer is not None:
        setup.peer.ask("drop")
        file = keep_batches(given, setup.folder / "steps.npz")
        make_peer(setup, setup.peer, kind, "packed", model)
        sides["peer, packed"] = PeerSteps(setup.peer, f"{kind}, packed", file, len(given))
        if padded:
            whole = padded_batch(setup.split.train, 200)
            fixed = keep_batches([whole], setup.folder / "padded.npz")
            make_peer(setup, setup.peer, kind, "padded", model)
            count, users = setup.size(3, 1), setup.size(PADDED, 16)
            sides["peer, padded"] = PeerSteps(setup.peer, f"{kind}, padded", fixed, count, users)
    return {"ours, direct" if kind == "gru" else "ours": OurSteps(model, given), **sides}


def make_peer(
    setup: Setup,
    peer: Peer,
    kind: str,
    form: str,
    model: Model,
    steps: int = 95,
    rate: float = 3e-3,
    seed: int = 0,
) -> str:
    """Have the peer make the same model with the same first weights; returns the name it has there."""
    name = f"{kind}, {form}"
    fitting = {**FITTING, "steps": steps, "learning_rate": rate, "seed": seed}
    weights = keep_weights(model, setup.folder / "weights.npz")
    peer.ask("make", name=name, kind=kind, form=form, sizes=sizes(model), fitting=fitting, weights=weights)
    return name


def _compared(setup: Setup, sides: Mapping[str, Side]) -> dict[str, Any]:
    turns = alternate(sides, setup.size(7, 2))
    ours = [name for name in sides if name.startswith("ours")]
    peers = [name for name in sides if name.startswith("peer")]
    times = {f"{one} / {other}": ratio(turns[one], turns[other]) for one in ours for other in peers}
    return {**{name: rates(found) for name, found in turns.items()}, "ratio of events/s": times}


class _Way:
    """One side on its way to the quality: it does an epoch at a time and adds up its seconds."""

    def __init__(self, epoch: Callable[[], Mapping[str, float] | None]) -> None:
        self.epoch, self.history = epoch, list[dict[str, float]]()
        self.trained = self.validated = 0.0
        self.over = self.reached = False

    def turn(self, target: float, cap: float) -> None:
        """One epoch, unless all are done; afterwards, whether this side is at the end of its way."""
        row = self.epoch()
        if row is None:
            self.over = True
            return
        self.trained += row["seconds"]
        self.validated += row["validation"]
        self.history.append({"seconds": round(self.trained, 2), "NDCG@10": round(row["NDCG@10"], 5)})
        self.reached = row["NDCG@10"] >= target
        self.over = self.reached or self.trained >= 60 * cap

    def told(self) -> dict[str, Any]:
        """What the result file holds."""
        return {
            "reached": self.reached,
            "seconds of training": round(self.trained, 1),
            "epochs": len(self.history),
            "seconds of validation": round(self.validated, 1),
            "history": self.history,
        }


def time_to_quality(setup: Setup) -> dict[str, Any]:
    """Seconds of training until NDCG@10 on all validation requests, an epoch of each side in turn.

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
        "cap, minutes": setup.cap,
        "batch": BATCH,
        "learning rate": RATE,
        "runs": [
            _to_quality(setup, seed, ("packed",) if seed else ("packed", "padded"))
            for seed in range(setup.runs)
        ],
    }


def _to_quality(setup: Setup, seed: int, forms: Sequence[str]) -> dict[str, Any]:
    # Windows of 201 events have 200 to be read, as many as the padded form.
    stretch = {"gru": 64, "sasrec": 201}
    models: dict[str, Model] = {
        "gru": setup.gru(False, seed),
        "through interests": setup.gru(True, seed),
        "sasrec": setup.sasrec(seed),
    }
    ways: dict[str, _Way] = {}
    if setup.peer is not None:
        setup.peer.ask("drop")
        for kind, form in ((k, f) for k in stretch for f in forms):
            batches = TrainingBatches(setup.split.train, BATCH, stretch[kind], seed)
            name = make_peer(setup, setup.peer, kind, form, models[kind], len(batches), RATE, seed)
            ways[f"peer, {name}"] = _Way(_peer_epochs(setup, setup.peer, name, form, batches))
    runs = {
        name: OurRun(
            model,
            setup.split,
            batch=BATCH,
            window_length=stretch.get(name, 64),
            learning_rate=RATE,
            epochs=int(FITTING["epochs"]),
            seed=seed,
        )
        for name, model in models.items()
    }
    ways |= {f"ours, {name}": _Way(run.epoch) for name, run in runs.items()}
    try:
        while any(not way.over for way in ways.values()):
            for name, way in ways.items():
                if not way.over:
                    way.turn(setup.target, setup.cap)
                    note(f"  run {seed}, {name}: {way.history[-1:]}")
    finally:
        for run in runs.values():
            run.end()
    return {name: way.told() for name, way in ways.items()}


def _peer_epochs(
    setup: Setup, peer: Peer, name: str, form: str, batches: TrainingBatches
) -> Callable[[], Mapping[str, float] | None]:
    valid = keep_validation(setup.split.valid, 200, setup.folder / "valid.npz")
    done = 0

    def epoch() -> dict[str, float] | None:
        nonlocal done
        if form == "packed" and done == FITTING["epochs"]:
            return None
        batches.epoch = done
        given = batches if form == "packed" else [padded_batch(setup.split.train, 200, done)]
        file = keep_batches(given, setup.folder / "epoch.npz")
        size = setup.size(PADDED, 16)
        trained = peer.ask("epoch", name=name, file=file, size=size, seed=done)["seconds"]
        peer.ask("forget", files=[file])
        Path(file).unlink()
        found = peer.ask("validate", name=name, file=valid)
        done += 1
        return {"seconds": trained, "validation": found["seconds"], "NDCG@10": found["NDCG@10"]}

    return epoch


def step_flops(model: InterestMigrationModel, rows: int, length: int, targets: int) -> int:
    """Floating-point operations of the matrix products of one training step.

    A product of n rows with a matrix of p numbers takes 2 n p forward; backward, the gradients of both sides
    take as much again, each. So with P positions (all, the padded ones too) and R real targets, d units and N
    items,

    $$6 \\big( P \\textstyle\\sum_{\\text{kernels}} p + R\\,N\\,d \\big)
    \\;[+\\; R \\cdot 4 N K + 6 P (K + 1) K (r + 1)].$$

    The kernels are those of the recurrent and dense layers. In brackets, the mixture alone: the items of each
    interest are summed, forward and once backward, and the matrices of interests, of rank r, are made and
    mixed. Sums, exponentials, normalisations and the running sums of attention are left out: the share of
    the peak is a little understated.

    Args:
        model: with constant queries.
        rows, length: of the batch as padded.
        targets: how many are real.
    """
    through = model.config.through_interests
    skipped = () if through else ("current_interest", "migration_matrix")
    kernels = sum(
        int(np.prod(weight.shape))
        for weight in model.weights
        if weight.path.endswith("kernel") and not any(part in weight.path for part in skipped)
    )
    items, interests = model.catalogue.item_interests.shape
    units, rank = model.embedding.sizes["units"], model.migration_matrix.sizes["rank"]
    places = rows * (length + 1)
    flops = 6 * (places * kernels + targets * items * units)
    if through:
        flops += targets * 4 * items * interests + 6 * places * (interests + 1) * interests * (rank + 1)
    return int(flops)


def peak(kind: str, width: int, rounds: int) -> list[float]:
    """GFLOP/s of products of two square matrices, each round's own.

    Args:
        kind: `"float32"` or `"bfloat16"`.
        width: of the matrices.
        rounds: products that are timed, after two that are not.
    """
    one = tf.cast(tf.random.normal((width, width)), kind)
    multiply = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)))
    call = timed(lambda: float(multiply(one)))
    turns = [call() for _ in range(rounds + 2)][2:]
    return [2e-9 * width**3 / turn.seconds for turn in turns]


def matrix_peak(setup: Setup) -> dict[str, Any]:
    """The most that matrix products reach in this process, and the share of it in our training steps."""
    width, rounds = setup.size(2048, 128), setup.size(9, 3)
    given = setup.batches(64, 64, setup.size(10, 2))
    sides: dict[str, Side] = {}
    flops: dict[str, int] = {}
    for name, through in (("direct", False), ("through interests", True)):
        model = setup.gru(through)
        sides[name] = OurSteps(model, given)
        flops[name] = sum(
            step_flops(model, len(target), arrays["item"].shape[1], int((target >= 0).sum()))
            for arrays, target in given
        )
    peaks: dict[str, list[float]] = {"float32": []}

    def product() -> Turn:
        began = time.perf_counter()
        peaks["float32"] += peak("float32", width, rounds)
        return Turn(time.perf_counter() - began, rounds)

    turns = alternate({**sides, "matrix product": product}, setup.size(5, 2))
    peaks["bfloat16"] = peak("bfloat16", width, 3)
    best = float(np.median(peaks["float32"]))
    shares = {}
    for name, done in flops.items():
        speeds = [1e-9 * done / turn.seconds for turn in turns[name]]
        shares[name] = {
            "GFLOP a step": short(1e-9 * done / len(given)),
            "GFLOP/s": spread(speeds),
            "share of the float32 peak": spread([speed / best for speed in speeds]),
        }
    return {
        "matrices": f"{width} x {width}",
        "GFLOP/s": {kind: spread(values) for kind, values in peaks.items()},
        "steps, 64 x 64": shares,
    }


def lower_precision(setup: Setup) -> dict[str, Any]:
    """Our training steps with the products over the catalogue in float32, and with them in bfloat16."""
    given = setup.batches(64, 64, setup.size(10, 2))
    found = {}
    for name, through in (("direct", False), ("through interests", True)):
        sides = {kind: OurSteps(setup.gru(through, precision=kind), given) for kind in PRECISIONS}
        turns = alternate(sides, setup.size(9, 2))
        found[name] = {kind: rates(measured) for kind, measured in turns.items()}
        found[name]["bfloat16 over float32"] = ratio(turns["bfloat16"], turns["float32"])
    return {"steps, 64 x 64": found}
