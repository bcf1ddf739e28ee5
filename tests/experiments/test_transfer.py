"""Transfers as the experiments run them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.transfers import simulated

import imtlib as imt
from experiments import runner, transfer
from experiments.__main__ import main
from imtlib.config import TrainingConfig
from imtlib.datasets.xmarket import read_markets

ONCE = TrainingConfig(epochs=1, batch=64)
PLAN = dict.fromkeys(("scratch", "all", "thin", "source"), ONCE)
TINY = {"units": 8, "heads": 2, "attention": "none"}


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("how", ["popularity", "none", "norms", "scratch"])
def test_a_transfer_says_what_it_did(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, split = simulated()
    there = imt.simulate(40, 60, 4, ("shop", "video", "news"), events=12, seed=1)[0]
    source = imt.InterestMigrationModel.for_log(split.train, **TINY)
    monkeypatch.setattr(imt, "load_pretrained", lambda name, log: source)
    monkeypatch.setitem(transfer.LOGS, "here", lambda: here)
    monkeypatch.setitem(transfer.LOGS, "there", lambda: there)
    monkeypatch.setitem(transfer.PLANS, "here", {"scratch": ONCE, "all": ONCE, "thin": ONCE})
    found = transfer.run("here", "there", how, 0.5, 0, tmp_path / "pair" / how)
    assert (found["fitting"] is None) == (how in ("popularity", "none"))
    assert found["users"] == 20
    assert found["lessons"] == split_lessons(there)
    assert found["items"] == len(found["rank"]) + 20 == 60
    if how in ("popularity", "scratch"):
        assert found["counts"] is found["matched items"] is None
    else:
        assert found["matched items"] == 60
        assert found["counts"]["all"] > 0
        assert (found["counts"]["share"] > 0) == (how == "norms")


def split_lessons(log: imt.BehaviourLog) -> int:
    """How many events the half of the users that seed 0 draws leave to learn from."""
    return len(transfer.share_of_users(imt.leave_one_out(log), 0.5, 0).train)


def test_a_share_of_users_keeps_all_of_theirs_and_every_request() -> None:
    whole = simulated()[1]
    some = transfer.share_of_users(whole, 0.25, 0)
    kept = some.train.lengths > 0
    assert kept.sum() == round(0.25 * len(kept))
    assert np.array_equal(some.train.lengths[kept], whole.train.lengths[kept])
    assert some.test is whole.test
    assert (transfer.share_of_users(whole, 0.0, 0).train.lengths > 0).sum() == 1


def market(path: Path, items: int, seed: int) -> set[str]:
    """Write a market's file, in which each user rates one item a day; returns what is sold there."""
    log = imt.simulate(30, items, 4, ("shop",), events=8, seed=seed)[0]
    days = {user: iter(range(1, 29)) for user in range(30)}
    lines = ["userId itemId rate date"] + [
        f"{log.users[user]} {log.catalogue.items[item]} 5.0 2016-06-{next(days[user]):02d}"
        for user, item in zip(log.user, log.item, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return set(read_markets({"here": path}).catalogue.items)


@pytest.mark.usefixtures("eagerly")
def test_a_market_is_trained_first_and_carried_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sold = [
        market(tmp_path / f"{name}_5core.txt", *how) for name, how in {"uk": (40, 0), "de": (30, 1)}.items()
    ]
    monkeypatch.setattr(transfer, "fetch", lambda download: tmp_path)
    monkeypatch.setattr(runner, "in_own_process", lambda call, *given: call(*given))
    monkeypatch.setattr(transfer, "OF_MARKETS", TINY)
    monkeypatch.setitem(transfer.PLANS, "xmarket-uk", PLAN)
    monkeypatch.chdir(tmp_path)
    main(["transfer", "xmarket-uk", "xmarket-de", "--how", "lora-1", "popularity"])
    folder = Path("experiments/results/transfer/xmarket-uk--xmarket-de")
    found = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    assert set(found) == {"lora-1-share1-seed0.json", "popularity-share1-seed0.json"}
    adapted = found["lora-1-share1-seed0.json"]
    assert (adapted["source"], adapted["target"]) == ("xmarket-uk", "xmarket-de")
    assert adapted["items"] == len(sold[1])
    assert 0 < adapted["matched items"] == len(sold[0] & sold[1])
    # Where the next way finds the source trained.
    assert (tmp_path / "runs" / "transfer" / "xmarket-uk-seed0").is_dir()


def test_a_source_may_be_the_model_of_the_book(tmp_path: Path) -> None:
    model, log = transfer.source_model("simulated-small", 0, tmp_path)
    assert model.config == imt.load_pretrained("simulated-small").config
    assert model.catalogue.fingerprint == log.catalogue.fingerprint
