"""Runs are read as they were written, and compared user by user, all seeds of a user together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imtlib.baselines.counting import Popularity
from imtlib.book.results import (
    as_report,
    as_report_by_scenario,
    find_results,
    in_words,
    markdown_table,
    over_seeds,
    read_result,
    read_runs,
    read_transfers,
)
from imtlib.data.splits import leave_one_out
from imtlib.errors import LogError
from imtlib.evaluation.comparison import compare
from imtlib.evaluation.ranking import evaluate
from imtlib.simulation.simulator import simulate


def run(model: str, seed: int, rank: list[int | None], split: str = "a") -> dict[str, Any]:
    hits = [r is not None and r <= 10 for r in rank]
    return {
        "model": model,
        "seed": seed,
        "hash": split,
        "test": {"HR@10": float(np.mean(hits))},
        "rank": rank,
        "loss": [None if r is None else float(np.log(r + 1)) for r in rank],
    }


def keep(folder: Path, *runs: dict[str, Any]) -> None:
    for one in runs:
        (folder / f"{one['model']}-seed{one['seed']}.json").write_text(json.dumps(one), "utf8")


def test_means_spread_and_pairs_over_seeds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ours = [run("ours", s, [int(r) for r in rng.integers(1, 30, 300)]) for s in (1, 0)]
    theirs = [run("theirs", s, [int(r) for r in rng.integers(1, 60, 300)]) for s in (0, 1)]
    theirs[0]["rank"][5] = theirs[0]["loss"][5] = None
    keep(tmp_path, *ours, *theirs)
    runs = read_runs(tmp_path)
    assert list(runs) == ["ours", "theirs"]
    assert [one["seed"] for one in runs["ours"]] == [0, 1]
    table = over_seeds(runs, ["HR@10"])
    hits = [one["test"]["HR@10"] for one in ours]
    assert table.loc["ours", ("HR@10", "mean")] == pytest.approx(np.mean(hits))
    assert table.loc["ours", ("HR@10", "low")] == min(hits)
    assert table.loc["theirs", ("seeds", "")] == 2
    report = as_report(runs["theirs"])
    assert report.seen_targets == 1
    assert np.isnan(report["coverage@10"])
    assert report["HR@10"] == pytest.approx(table.loc["theirs", ("HR@10", "mean")], abs=2e-3)
    found = compare(as_report(runs["ours"]), report, "HR@10")
    assert found.users == 300
    assert found.low > 0.05


def test_transfers_are_told_apart_by_way_and_share(tmp_path: Path) -> None:
    for how, share, seed in (("all", 1.0, 1), ("all", 1.0, 0), ("all", 0.1, 0), ("lora-4", 0.1, 0)):
        one = {**run(how, seed, [1, 2]), "how": how, "share": share}
        (tmp_path / f"{how}-share{share:g}-seed{seed}.json").write_text(json.dumps(one), "utf8")
    found = read_transfers(tmp_path)
    assert list(found) == [("all", 0.1), ("all", 1.0), ("lora-4", 0.1)]
    assert [one["seed"] for one in found["all", 1.0]] == [0, 1]


def test_no_run_and_runs_of_two_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no run in"):
        read_runs(tmp_path)
    keep(tmp_path, run("ours", 0, [1]), run("ours", 1, [1], split="b"))
    with pytest.raises(LogError, match="different splits"):
        read_runs(tmp_path)


def test_a_cell_says_mean_and_range_or_that_there_is_no_run(tmp_path: Path) -> None:
    keep(tmp_path, run("ours", 0, [1, 30]), run("ours", 1, [1, 2]), run("theirs", 0, [30, 3]))
    table = over_seeds(read_runs(tmp_path), ["HR@10"])
    cells = [in_words(table, name, "HR@10") for name in ("ours", "theirs", "nobody")]
    assert cells == ["0.750 (0.500–1.000)", "0.500", "–"]
    assert markdown_table(["a", "b"], [cells[1:]]) == "| a | b |\n| --- | --- |\n| 0.500 | – |"


def test_the_gru_of_the_table_is_as_good_as_others_have_published() -> None:
    kept = read_runs("movielens-1m/leave-one-out")["gru"]
    assert np.mean([seed["test"]["HR@10"] for seed in kept]) >= 0.2811
    assert np.mean([seed["test"]["NDCG@10"] for seed in kept]) >= 0.1648


def test_reports_of_runs_know_their_scenarios() -> None:
    split = leave_one_out(simulate(60, 40, 4, ("shop", "video"), events=10, seed=3)[0])
    report = evaluate(Popularity(split.train), split.test)
    rank = [int(r) for r in report.rank]
    one = {"model": "mine", "hash": split.hash, "rank": rank, "loss": report.loss.tolist()}
    back = as_report_by_scenario([one, one], split)
    assert back.scenarios == ("shop", "video")
    for name in back.scenarios:
        assert back.by_scenario[name]["NDCG@10"] == pytest.approx(report.by_scenario[name]["NDCG@10"])
        assert len(back.by_scenario[name].rank) == 2 * len(report.by_scenario[name].rank)
    with pytest.raises(LogError, match="'mine' are of another split"):
        as_report_by_scenario([{**one, "hash": "other"}], split)


def test_results_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert find_results("speed.json").parts[-3:] == ("experiments", "results", "speed.json")
    keep(tmp_path, run("ours", 0, [1]))
    assert read_result(next(tmp_path.glob("*.json")))["model"] == "ours"
    with pytest.raises(LogError, match=r"no results named nowhere: `python -m experiments` writes them to"):
        read_runs("nowhere")
