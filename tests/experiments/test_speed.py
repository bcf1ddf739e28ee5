"""The measuring of speed: that both sides do the same work, and that figures and files are what they say."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imtlib as imt
from experiments.speed import growth, sections, training
from experiments.speed.ours import OurSteps, Setup, Way
from experiments.speed.peers import Model, Peer, keep, keep_requests, padded_batch
from experiments.speed.timing import Turn, alternate, rates, ratio, spread

PEERS = os.environ.get("IMTLIB_PEERS")
needs_peers = pytest.mark.skipif(
    PEERS is None, reason="IMTLIB_PEERS names no python that has experiments/speed/requirements-peers.txt"
)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return Setup(tmp_path_factory.mktemp("speed"), quick=True)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    assert PEERS is not None
    started = Peer(PEERS, threads=1)
    yield started
    started.close()


def test_sides_take_turns_and_none_is_always_first() -> None:
    order: list[str] = []

    def side(name: str, seconds: float) -> Turn:
        order.append(name)
        return Turn(seconds, 2, 6)

    turns = alternate({"a": lambda: side("a", 1.0), "b": lambda: side("b", 4.0)}, rounds=3)
    assert order == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert [len(found) for found in turns.values()] == [3, 3]
    assert ratio(turns["a"], turns["b"])["median"] == 4.0
    found = rates(turns["b"])
    assert (found["steps/s"]["median"], found["events/s"]["median"]) == (0.5, 1.5)
    assert (found["ms/step"]["median"], found["events/step"]) == (2000.0, 3.0)


def test_spread_has_median_and_quartiles() -> None:
    assert spread([5.0, 1.0, 2.0, 3.0, 4.0]) == {"median": 3.0, "quartiles": [2.0, 4.0], "measured": 5}


@pytest.mark.parametrize("python", [sys.executable, "/nowhere/python"])
def test_a_python_without_torch_is_refused(python: str) -> None:
    with pytest.raises((RuntimeError, OSError), match=r"requirements-peers\.txt|/nowhere/python"):
        Peer(python, threads=1)


def test_operations_of_a_step_are_those_of_its_matrices(setup: Setup) -> None:
    units, items, interests, places, targets = 8, 40, 4, 3 * 8, 11
    recurrent, wide = 2 * units * 3 * units, 2 * units * 4 * units
    attention, query = 2 * 2 * units * units, 2 * units * 2 * units + 2 * units * units
    kernels = recurrent + wide + attention + query + 2 * units * interests
    direct = 6 * (places * kernels + targets * items * units)
    assert training.step_flops(setup.gru(False), 3, 7, targets) == direct
    mixture = 6 * places * (units * interests + units * 8 + (interests + 1) * interests * 9)
    mixture += targets * 4 * items * interests
    assert training.step_flops(setup.gru(True), 3, 7, targets) == direct + mixture


def test_padded_batches_hold_every_event_once(setup: Setup) -> None:
    log = setup.split.train
    arrays, target = padded_batch(log, 200)
    assert arrays["item"].shape == (len(log.users), 200)
    assert target.shape == (len(log.users), 201)
    assert (target >= 0).sum() == len(log)
    assert np.array_equal(np.sort(target[target >= 0]), np.sort(log.item))
    real = np.arange(200) < arrays["length"][:, None]
    assert np.array_equal(arrays["item"][real], target[:, :-1][real])
    short, cut = padded_batch(log, 5)
    assert short["item"].shape == (len(log.users), 5)
    assert (cut >= 0).sum(axis=1).max() <= 6


@pytest.mark.parametrize(("target", "cap", "epochs", "reached"), [(0.0, 1.0, 1, True), (2.0, 0.0, 1, False)])
def test_a_run_ends_where_its_quality_or_its_time_does(
    target: float, cap: float, epochs: int, reached: bool, setup: Setup
) -> None:
    way = Way(Setup(setup.folder, quick=True, target=target, cap_minutes=cap))
    imt.fit(setup.gru(False), setup.split, epochs=3, batch=64, progress=False, callbacks=[way])
    found = way.result()
    assert (found["epochs"], found["reached"]) == (epochs, reached)
    assert found["history"][0]["seconds"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lower precision", "serving", "evaluation"])
def test_a_section_says_where_and_what(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("intra", "inter"):  # TensorFlow has begun already, and would refuse
        monkeypatch.setattr(f"tensorflow.config.threading.set_{kind}_op_parallelism_threads", lambda _: None)
    options = {"target": 0.15, "cap_minutes": 1.0, "repeats": 1, "quick": True}
    kept = sections.run(name, None, 1, tmp_path, **options)
    assert kept["quick"] is True
    assert kept["versions"]["ours"]["tensorflow"]
    assert len(kept["load average at the start"]) == 3
    results: dict[str, Any] = kept["results"]
    if name == "lower precision":
        assert set(results["steps, 64 x 64"]) == {"direct", "through interests"}
    elif name == "serving":
        assert all(figures["p50"] <= figures["p95"] for figures in results["milliseconds"].values())
    else:
        assert results["requests"] == 60
        assert set(results["seconds"]) >= {"scoring", "whole"}


@pytest.mark.slow
def test_growth_is_measured_at_each_size(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "in_own_process", lambda call, kind, size: float(size))
    grown = growth.catalogue_size(setup)
    assert set(grown["ms"]) == {f"{way}, {n}" for way in ("whole", "at once", "sampled") for n in (100, 200)}
    assert grown["memory, MB"]["whole"]["200"]["median"] == 200
    lengths = growth.history_length(setup)
    assert set(lengths["constant"]["ms"]) == {"8", "16"}
    assert list(lengths["state"]["times as long for twice the length"]) == ["8 to 16"]


def test_memory_is_that_of_one_run_more() -> None:
    assert growth.added_memory("whole", 200) >= 0
    losses = [growth.catalogue_step(way, 50, 16, 4096)() for way in growth.WAYS]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[2] == pytest.approx(losses[0], rel=0.1)


def made(kind: str, setup: Setup) -> Model:
    """A small model without dropout, whose training repeats on the other side, with every weight moved: a
    bias of zero or a scale of one would hide that it is in the wrong place.
    """
    model: Model = setup.gru(False, dropout=0.0) if kind == "gru" else setup.sasrec(dropout=0.0)
    rng = np.random.default_rng(0)
    model.set_weights([np.asarray(w + rng.normal(0, 0.3, w.shape), w.dtype) for w in model.get_weights()])
    return model


@needs_peers
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gru", "sasrec"])
def test_the_peer_has_the_same_loss_ranks_and_training(kind: str, setup: Setup, peer: Peer) -> None:
    model, given = made(kind, setup), setup.batches(16, 10)
    name = training.make_peer(setup, peer, kind, "packed", model, steps=2)
    valid = keep_requests(setup.folder / "valid.npz", setup.split.valid, 200)
    theirs, report = peer.ask("validate", name=name, file=valid), imt.evaluate(model, setup.split.valid)
    for metric in ("NDCG@10", "HR@10"):
        assert theirs[metric] == pytest.approx(report[metric], abs=1e-6)
    side, file = OurSteps(model, given, steps=2), keep(setup.folder / f"{kind}.npz", given)
    before = float(model.test_on_batch(*given[0]))
    assert peer.ask("train", name=name, file=file)["losses"][0] == pytest.approx(before, abs=1e-4)
    side()
    after = float(model.test_on_batch(*given[0]))
    assert abs(after - before) > 0.01
    assert peer.ask("train", name=name, file=file)["losses"][0] == pytest.approx(after, abs=1e-3)


@needs_peers
@pytest.mark.slow
def test_both_forms_of_the_peer_learn(setup: Setup, peer: Peer) -> None:
    both = Setup(setup.folder, peer, quick=True, target=1.0, cap_minutes=0.001)
    found = training.training_steps(both)
    assert "ours, direct / peer, padded" in found["GRU with attention, 64 x 64"]["ratio of events/s"]
    ways = training.time_to_quality(both)["runs"][0]
    assert {name.split(", ")[0] for name in ways} == {"ours", "peer"}
    name = training.make_peer(setup, peer, "sasrec", "padded", setup.sasrec())
    file = keep(setup.folder / "fixed.npz", [padded_batch(setup.split.train, 20)])
    losses = [peer.ask("train", name=name, file=file, size=16, seed=k)["losses"] for k in range(6)]
    assert np.mean(losses[-1]) < np.mean(losses[0])
    assert len(peer.ask("train", name=name, file=file, size=16, count=2)["losses"]) == 2
    with pytest.raises(RuntimeError, match="the peer ended at 'train'"):
        peer.ask("train", name="nobody", file=file)
