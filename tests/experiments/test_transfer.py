"""Transfers as the experiments run them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.transfers import simulated

import imtlib as imt
from experiments import transfer
from imtlib.datasets.xmarket import read_markets


def test_a_transfer_says_what_it_did(tmp_path, monkeypatch) -> None:
    fitting = {"epochs": 1, "batch": 20, "progress": False}
    small = {"units": 8, "heads": 2, "attention": "state"}
    fresh = imt.simulate(40, 60, 4, ("shop", "video", "news"), events=12, seed=1)[0]
    monkeypatch.setitem(transfer.LOGS, "here", lambda: simulated()[0])
    monkeypatch.setitem(transfer.LOGS, "there", lambda: fresh)
    monkeypatch.setitem(transfer.PLANS, "here", transfer.Plan(small, fitting, fitting, fitting, fitting))
    found = {how: transfer.run("here", "there", how, 0.5, 0, tmp_path) for how in ("popularity", "norms")}
    assert found["popularity"]["fitting"] is None
    assert found["popularity"]["counts"] is None
    norms = found["norms"]
    assert norms["users"] == 20
    assert norms["matched items"] == norms["items"] == 60
    assert 0 < norms["counts"]["share"] < 0.5
    assert norms["hash"] == found["popularity"]["hash"]
    with pytest.raises(ValueError, match=r"share=0\.0 is not above 0"):
        transfer.run("here", "there", "popularity", 0.0, 0, tmp_path)


def market(path: Path, items: int, seed: int) -> str:
    """Write a market's file, in which each user rates one item a day."""
    log = imt.simulate(30, items, 4, ("shop",), events=8, seed=seed)[0]
    days = {user: iter(range(1, 29)) for user in range(30)}
    lines = ["userId itemId rate date"] + [
        f"{log.users[user]} {log.catalogue.items[item]} 5.0 2016-06-{next(days[user]):02d}"
        for user, item in zip(log.user, log.item, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_other_markets_load_by_path(tmp_path, monkeypatch, capsys) -> None:
    one, other = market(tmp_path / "us.txt", 40, 0), market(tmp_path / "jp.txt", 30, 1)
    fitting = {"epochs": 1, "batch": 20, "progress": False}
    small = {"units": 8, "attention": "state"}
    monkeypatch.setattr(
        transfer, "MARKET", replace(transfer.MARKET, settings=small, source=fitting, thin=fitting)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["transfer", one, other, "--how", "lora-1", "popularity"])
    transfer.main()
    found = {
        path.name: json.loads(path.read_text())
        for path in Path("experiments/results/transfer/us--jp").glob("*.json")
    }
    assert set(found) == {"lora-1-share1-seed0.json", "popularity-share1-seed0.json"}
    adapted = found["lora-1-share1-seed0.json"]
    assert (adapted["source"], adapted["target"]) == ("us", "jp")
    sold = [set(read_markets({"here": path}).catalogue.items) for path in (one, other)]
    assert adapted["items"] == len(sold[1])
    assert 0 < adapted["matched items"] == len(sold[0] & sold[1])
    assert (tmp_path / "runs" / "transfer" / "us-seed0").is_dir()
    monkeypatch.setattr("sys.argv", ["transfer", one, "xmarket-jp"])
    with pytest.raises(SystemExit):
        transfer.main()
    assert "'xmarket-jp' is no file and none of movielens-1m," in capsys.readouterr().err


def test_a_source_may_be_the_model_of_the_book(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(transfer.LOGS, "simulated-small", lambda: imt.load_dataset("simulated-small"))
    plan = transfer.Plan({}, None, {}, {}, {})
    model, log = transfer.source_model("simulated-small", plan, 0, tmp_path)
    assert model.config == imt.load_pretrained("simulated-small").config
    assert model.catalogue.fingerprint == log.catalogue.fingerprint
