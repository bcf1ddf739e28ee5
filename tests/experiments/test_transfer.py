"""Transfers as the experiments run them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.transfers import simulated

import imtlib as imt
from experiments import runner, transfer
from experiments.__main__ import main
from experiments.recipes import Recipe
from imtlib.config import TrainingConfig
from imtlib.datasets.xmarket import read_markets

ONCE = TrainingConfig(epochs=1, batch=64)
TINY = Recipe(settings={"units": 8, "heads": 2, "attention": "state"}, training=ONCE)


@pytest.mark.parametrize("how", ["popularity", "none", "norms", "scratch"])
def test_a_transfer_says_what_it_did(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = imt.simulate(40, 60, 4, ("shop", "video", "news"), events=12, seed=1)[0]
    monkeypatch.setitem(transfer.LOGS, "here", lambda: simulated()[0])
    monkeypatch.setitem(transfer.LOGS, "there", lambda: fresh)
    monkeypatch.setitem(transfer.PLANS, "here", transfer.Plan(ONCE, ONCE, ONCE, TINY))
    found = transfer.run(Path("here"), Path("there"), how, 0.5, 0, tmp_path / "pair" / how)
    assert (found["fitting"] is None) == (how in ("popularity", "none"))
    assert (found["source"], found["target"]) == ("here", "there")
    assert found["users"] == 20
    assert found["items"] == len(found["rank"]) + 20 == 60
    if how in ("popularity", "scratch"):
        assert found["counts"] is found["matched items"] is None
    else:
        assert found["matched items"] == 60
        assert found["counts"]["all"] > 0
        assert (found["counts"]["share"] > 0) == (how == "norms")
    # Where the next way finds the source trained.
    assert (tmp_path / "here-seed0").is_dir() == (how != "popularity")


def test_a_share_is_above_nothing() -> None:
    with pytest.raises(ValueError, match=r"share=0\.0 is not above 0"):
        transfer.share_of_users(simulated()[1], 0.0, 0)


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


def test_other_markets_load_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = market(tmp_path / "us.txt", 40, 0), market(tmp_path / "jp.txt", 30, 1)
    monkeypatch.setattr(runner, "in_own_process", lambda call, *given: call(*given))
    monkeypatch.setattr(transfer, "MARKET", replace(transfer.MARKET, source=TINY, thin=ONCE))
    monkeypatch.chdir(tmp_path)
    main(["transfer", one, other, "--how", "lora-1", "popularity"])
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
    with pytest.raises(SystemExit):
        main(["transfer", one, "xmarket-jp"])
    assert "'xmarket-jp' is no file and none of movielens-1m," in capsys.readouterr().err


def test_a_source_may_be_the_model_of_the_book(tmp_path: Path) -> None:
    model, log = transfer.source_model(Path("simulated-small"), 0, tmp_path)
    assert model.config == imt.load_pretrained("simulated-small").config
    assert model.catalogue.fingerprint == log.catalogue.fingerprint
