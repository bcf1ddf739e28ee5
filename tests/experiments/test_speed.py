"""The measuring of speed: that both sides do the same work, and that figures and files are what they say."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.speed import __main__ as speed
from experiments.speed import porting, training_speed
from experiments.speed.ours import OurRun, OurSteps, Setup
from experiments.speed.peers import Peer, PeerError
from experiments.speed.timing import Turn, alternate, rates, ratio, spread
from imtlib.baselines.sequential import SequenceBaseline
from imtlib.evaluation.ranking import evaluate
from imtlib.model import InterestMigrationModel

PEERS = os.environ.get("IMTLIB_PEERS")
needs_peers = pytest.mark.skipif(
    PEERS is None, reason="IMTLIB_PEERS names no python that has experiments/speed/requirements-peers.txt"
)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return Setup(tmp_path_factory.mktemp("speed"), quick=True)


@pytest.fixture(scope="module")
def peer(setup: Setup) -> Iterator[Peer]:
    assert PEERS is not None
    with Peer(PEERS, threads=1) as started:
        setup.peer = started
        yield started
    setup.peer = None


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


def test_sections_are_merged_at_one_stroke(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    for name, value in (("serving", 1), ("training steps", 2), ("serving", 3)):
        speed.merged(path, name, {"results": value})
    kept = json.loads(path.read_text("utf8"))
    assert list(kept.items()) == [("training steps", {"results": 2}), ("serving", {"results": 3})]
    assert [file.name for file in tmp_path.iterdir()] == ["speed.json"]


def test_a_python_without_torch_is_named_and_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    for python, said in ((sys.executable, "lacks torch"), ("/nowhere/python", "cannot be started")):
        with pytest.raises(PeerError, match=said):
            Peer(python, threads=1)
        peer, sentence = speed.peer_for(python, threads=1)
        assert peer is None
        assert said in sentence
        assert "experiments/speed/requirements-peers.txt" in sentence
        assert said in capsys.readouterr().err
    assert speed.peer_for(None, threads=1) == (None, speed.NOT_ASKED)


def test_operations_of_a_step_are_those_of_its_matrices(setup: Setup) -> None:
    units, items, interests, places, targets = 8, 40, 4, 3 * 8, 11
    recurrent, wide = 2 * units * 3 * units, 2 * units * 4 * units
    attention, query = 2 * 2 * units * units, 2 * units * 2 * units + 2 * units * units
    kernels = recurrent + wide + attention + query + 2 * units * interests
    direct = 6 * (places * kernels + targets * items * units)
    assert training_speed.step_flops(setup.gru(False), 3, 7, targets) == direct
    mixture = 6 * places * (units * interests + units * 8 + (interests + 1) * interests * 9)
    mixture += targets * 4 * items * interests
    assert training_speed.step_flops(setup.gru(True), 3, 7, targets) == direct + mixture


def test_padded_batches_hold_every_event_once(setup: Setup) -> None:
    log = setup.split.train
    arrays, target = porting.padded_batch(log, 200)
    assert arrays["item"].shape == (len(log.users), 200)
    assert target.shape == (len(log.users), 201)
    assert (target >= 0).sum() == len(log)
    assert np.array_equal(np.sort(target[target >= 0]), np.sort(log.item))
    real = np.arange(200) < arrays["length"][:, None]
    assert np.array_equal(arrays["item"][real], target[:, :-1][real])
    short, cut = porting.padded_batch(log, 5)
    assert short["item"].shape == (len(log.users), 5)
    assert (cut >= 0).sum(axis=1).max() <= 6


@pytest.mark.slow
def test_fit_is_let_go_for_an_epoch_at_a_time(setup: Setup) -> None:
    run = OurRun(setup.gru(False), setup.split, epochs=2, batch=32, window_length=8)
    assert run.rows == []
    first = run.epoch()
    assert first is not None
    assert first["seconds"] > 0
    assert len(run.rows) == 1
    second = run.epoch()
    assert second is run.rows[1]
    assert run.epoch() is None
    run.end()
    unfinished = OurRun(setup.gru(False), setup.split, epochs=2)
    unfinished.end()
    assert unfinished.rows == []


@pytest.mark.slow
def test_a_quick_run_keeps_whole_sections(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    asked = ["matrix peak", "lower precision", "history length", "catalogue size", "serving", "evaluation"]
    speed.main(["--quick", "--out", str(path), "--only", *asked])
    kept = json.loads(path.read_text("utf8"))
    assert set(kept) == set(asked)
    for section in kept.values():
        assert section["quick"] is True
        assert section["machine"]["processor"]
        assert section["versions"]["ours"]["tensorflow"]
        assert len(section["load average at the start"]) == 3
    grown = kept["catalogue size"]["results"]
    ways = ("whole", "at once", "sampled")
    assert set(grown["ms"]) == {f"{way}, {items}" for way in ways for items in (100, 200)}
    assert {way: set(found) for way, found in grown["memory, MB"].items()} == {
        "whole": {"100", "200"},
        "at once": {"100", "200"},
    }
    assert set(kept["lower precision"]["results"]["steps, 64 x 64"]) == {"direct", "through interests"}
    for figures in kept["serving"]["results"]["milliseconds"].values():
        assert 0 < figures["p50"] <= figures["p95"]
    seconds = kept["evaluation"]["results"]["seconds"]
    assert seconds["scoring"]["median"] < seconds["whole"]["median"]


def unlike_the_first(model: porting.Model) -> None:
    """Move every weight: a bias of zero or a scale of one would hide that it is in the wrong place."""
    rng = np.random.default_rng(0)
    model.set_weights([np.asarray(w + rng.normal(0, 0.3, w.shape), w.dtype) for w in model.get_weights()])


def made(kind: str, setup: Setup) -> porting.Model:
    """A small model without dropout, whose training repeats on the other side."""
    if kind == "gru":
        settings = {"units": 8, "layers": 1, "heads": 2, "through_interests": False}
        return InterestMigrationModel.for_log(setup.split.train, dropout=0.0, **settings)
    return SequenceBaseline.for_log(setup.split.train, encoder="sasrec", units=8, dropout=0.0)


@needs_peers
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gru", "sasrec"])
def test_the_peer_has_the_same_loss_ranks_and_training(kind: str, setup: Setup, peer: Peer) -> None:
    model, given = made(kind, setup), setup.batches(16, 10)
    unlike_the_first(model)
    side = OurSteps(model, given, steps=2)
    name = training_speed.make_peer(setup, peer, kind, "packed", model, steps=2)
    file = porting.keep_batches(given, setup.folder / f"{kind}.npz")
    valid = porting.keep_validation(setup.split.valid, 200, setup.folder / f"{kind}-valid.npz")

    def losses() -> tuple[float, float]:
        return float(model.test_on_batch(*given[0])), peer.ask("loss", name=name, file=file)["loss"]

    before, theirs = losses()
    assert theirs == pytest.approx(before, abs=1e-4)
    told, report = peer.ask("validate", name=name, file=valid), evaluate(model, setup.split.valid)
    for metric in ("NDCG@10", "HR@10"):
        assert told[metric] == pytest.approx(report[metric], abs=1e-6)
    side()
    peer.ask("epoch", name=name, file=file)
    after, theirs = losses()
    assert abs(after - before) > 0.01
    assert theirs == pytest.approx(after, abs=1e-3)


@needs_peers
@pytest.mark.slow
def test_the_peer_learns_in_both_forms_and_says_what_went_wrong(setup: Setup, peer: Peer) -> None:
    model = setup.sasrec()
    fixed = porting.padded_batch(setup.split.train, 20)
    files = {
        "packed": porting.keep_batches(setup.batches(16, 10), setup.folder / "packed.npz"),
        "padded": porting.keep_batches([fixed], setup.folder / "fixed.npz"),
    }
    for form, file in files.items():
        name = training_speed.make_peer(setup, peer, "sasrec", form, model, steps=4)
        losses = [peer.ask("epoch", name=name, file=file, size=16, seed=k)["loss"] for k in range(8)]
        assert losses[-1] < losses[0]
        answer = peer.ask("steps", name=name, file=file, count=2, size=16)
        assert answer["steps"] == 2
        assert answer["events"] > 0
    with pytest.raises(PeerError, match="KeyError"):
        peer.ask("steps", name="nobody", file="none", count=1)
