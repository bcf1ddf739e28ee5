"""The measuring of speed: that both sides do the same work, and that figures and files are what they say."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imtlib as imt
from experiments.speed import growth, sections, training
from experiments.speed.harness import Setup, alternate, spread
from experiments.speed.peers import Batches, Model, Peer, padded
from imtlib.training.trainer import warm_cosine

PEERS = os.environ.get("IMTLIB_PEERS", "")
needs_peers = pytest.mark.skipif(
    not PEERS, reason="IMTLIB_PEERS names no python that has experiments/speed/requirements-peers.txt"
)


@pytest.fixture(scope="module")
def setup() -> Setup:
    return Setup(PEERS, quick=True, cap_minutes=0.001)


def test_sides_take_turns_and_none_is_always_first() -> None:
    order: list[str] = []

    def side(name: str, seconds: float) -> Callable[[], float]:
        return lambda: order.append(name) or seconds

    seconds = alternate({"a": side("a", 1.0), "b": side("b", 4.0)}, rounds=3)
    assert order == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert {name: list(took) for name, took in seconds.items()} == {"a": [1.0] * 3, "b": [4.0] * 3}


def test_rates_are_of_steps_and_of_real_targets() -> None:
    batches: Batches = [({}, np.array([[5, 2, -1], [7, -1, -1]], np.int32))] * 2
    found, speed = training.rates({"a": (lambda: 4.0, batches), "b": (lambda: 1.0, batches[:1])}, rounds=2)
    assert (found["a"]["steps/s"]["median"], found["a"]["events/s"]["median"]) == (0.5, 1.5)
    assert (found["a"]["ms/step"]["median"], found["a"]["events/step"]) == (2000.0, 3.0)
    assert list(speed["b"] / speed["a"]) == [2.0, 2.0]


def test_spread_has_median_and_quartiles() -> None:
    assert spread([5.0, 1.0, 2.0, 3.0, 4.0]) == {"median": 3.0, "quartiles": [2.0, 4.0], "measured": 5}


@pytest.mark.parametrize("python", [sys.executable, "/nowhere/python"])
def test_a_python_without_torch_is_refused(python: str, constant_model: imt.InterestMigrationModel) -> None:
    with pytest.raises((RuntimeError, OSError), match=r"requirements-peers\.txt|/nowhere/python"):
        Peer(python, "packed", constant_model)


def test_operations_of_a_step_are_those_of_its_matrices(setup: Setup) -> None:
    units, items, interests, places, targets = 8, 40, 4, 3 * 8, 11
    recurrent, wide = 2 * units * 3 * units, 2 * units * 4 * units
    attention, query = 2 * 2 * units * units, 2 * units * 2 * units + 2 * units * units
    kernels = recurrent + wide + attention + query + 2 * units * interests
    expected = 6 * (places * kernels + targets * items * units)
    assert training.step_flops(setup.gru(False), 3, 7, targets) == expected


def test_padded_batches_hold_every_event_but_the_first_once(setup: Setup) -> None:
    log = setup.split.train
    batches = padded(log, 16)
    assert sorted(arrays["item"].shape for arrays, _ in batches) == [(12, 200), *[(16, 200)] * 3]
    target = np.concatenate([target for _, target in batches])
    assert target.shape == (len(log.users), 201)
    later = np.delete(log.item, log.starts[:-1])
    assert np.array_equal(np.sort(target[target >= 0]), np.sort(later))
    arrays, asked = batches[0]
    read = asked[:, 2:] >= 0
    assert np.array_equal(arrays["item"][:, 1:][read], asked[:, 1:-1][read])
    ((shorter, cut), *_) = padded(log, 16, 5)
    assert shorter["item"].shape == (16, 5)
    assert (cut >= 0).sum(axis=1).max() <= 5
    assert not np.array_equal(padded(log, 16, 5, epoch=1)[0][1], cut)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("target", "cap", "reached"), [(0.0, 1.0, True), (2.0, 0.0, False)])
def test_a_run_ends_where_its_quality_or_its_time_does(
    target: float, cap: float, reached: bool, setup: Setup
) -> None:
    way = training.Way(cap, target)
    model = setup.gru(False, attention="none")
    imt.fit(model, setup.split, epochs=3, batch=64, progress=False, callbacks=[way])
    found = way.result()
    assert (found["epochs"], found["reached"]) == (1, reached)
    assert found["history"][0]["seconds"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lower precision", "serving", "evaluation"])
def test_a_section_says_where_and_what(name: str, tmp_path: Path) -> None:
    kept = sections.run(name, tmp_path, peers="", cap_minutes=1.0, repeats=1, quick=True)
    assert kept["quick"] is True
    assert set(kept["versions"]) == {"ours"}
    assert kept["versions"]["ours"]["tensorflow"]
    assert len(kept["load average at the start"]) == 3
    results: dict[str, Any] = kept["results"]
    if name == "lower precision":
        assert set(results["steps, 64 x 64"]) == {"direct", "through interests"}
    elif name == "serving":
        assert all(figures["p50"] <= figures["p95"] for figures in results["milliseconds"].values())
    else:
        assert results["requests"] == 60
        assert set(results["seconds"]) == {"scoring", "ranking", "whole"}


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
    losses = [growth.catalogue_step(way, 50)() for way in growth.WAYS]
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
def test_the_peer_has_the_same_loss_ranks_and_training(kind: str, setup: Setup) -> None:
    model, given = made(kind, setup), setup.batches(16, 10)
    rate = warm_cosine(training.TrainingConfig().learning_rate, 2, training.TrainingConfig().epochs)
    rates = [float(rate(step)) for step in range(len(given))]
    with closing(Peer(PEERS, "packed", model)) as peer:
        theirs, report = (imt.evaluate(one, setup.split.valid) for one in (peer, model))
        assert np.array_equal(theirs.rank, report.rank)
        assert theirs["log loss"] == pytest.approx(report["log loss"], abs=1e-4)
        side = training.our_steps(model, given, steps=2)
        before = float(model.test_on_batch(*given[0]))
        peer.train(given, rates)
        assert peer.losses[0] == pytest.approx(before, abs=1e-4)
        side()
        after = float(model.test_on_batch(*given[0]))
        assert abs(after - before) > 0.01
        peer.train(given, rates)
        assert peer.losses[0] == pytest.approx(after, abs=1e-3)


@needs_peers
@pytest.mark.slow
def test_both_forms_of_the_peer_learn(setup: Setup) -> None:
    found = training.training_steps(setup)
    assert set(found["GRU with attention, 64 x 64"]["ratio of events/s"]) == {
        f"ours, {way} / peer, {form}"
        for way in ("direct", "through interests")
        for form in ("packed", "padded")
    }
    assert set(found["SASRec, 16 x 200"]) == {"ours", "peer, packed", "ratio of events/s"}
    assert Peer.versions["torch"]
    ways = training.time_to_quality(setup)["runs"][0]
    assert {name.split(", ")[0] for name in ways} == {"ours", "peer"}
    with closing(Peer(PEERS, "padded", setup.sasrec())) as peer:
        given, losses = padded(setup.split.train, 16, 20), []
        for _ in range(6):
            peer.train(given, [0.001] * len(given))
            losses.append(np.mean(peer.losses))
        assert losses[-1] < losses[0]
        with pytest.raises(RuntimeError, match="the peer ended"):
            peer.train(given, [])
