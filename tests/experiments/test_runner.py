"""The runner: every run has a file, what has one is left alone, and a process is its own."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import toy_experiment

from experiments import runner
from experiments.__main__ import EXPERIMENTS, main
from experiments.record import circumstances, losses, ranks, rounded, write
from imtlib.evaluation.ranking import Report


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in this process."""
    monkeypatch.setattr(runner, "in_own_process", lambda call, *given: call(*given))


def given(folder: Path, **others: Any) -> dict[str, Any]:
    places = {"results": folder / "results", "runs": folder / "runs"}
    return {"dataset": "x", "model": ["a", "b"], "seed": [0, 1], "again": False, **places, **others}


def test_all_combinations_run_and_what_is_there_is_left_alone(
    here: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner.run_missing(toy_experiment, given(tmp_path))
    files = sorted((tmp_path / "results" / "toy" / "x").iterdir())
    assert [file.name for file in files] == ["a-seed0.json", "a-seed1.json"]
    kept = json.loads(files[1].read_text("utf8"))
    assert (kept["dataset"], kept["model"], kept["seed"]) == ("x", "a", 1)
    assert kept["folder"] == "a-seed1"
    files[1].write_text('{"mine": 1}')
    runner.run_missing(toy_experiment, given(tmp_path))
    assert f"{files[1]}  is there already" in capsys.readouterr().out
    assert json.loads(files[1].read_text("utf8")) == {"mine": 1}
    runner.run_missing(toy_experiment, given(tmp_path, again=True))
    assert json.loads(files[1].read_text("utf8"))["seed"] == 1


def test_sections_share_a_file(here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_experiment, "PATH", "{dataset}#{model} {seed}")
    path = tmp_path / "results" / "x.json"
    write({"other": {"mine": 1}, "a 1": {"mine": 2}}, path)
    runner.run_missing(toy_experiment, given(tmp_path, model=["a"]))
    kept = json.loads(path.read_text("utf8"))
    assert list(kept) == ["other", "a 1", "a 0"]
    assert (kept["other"], kept["a 1"], kept["a 0"]["test"]) == ({"mine": 1}, {"mine": 2}, {"NDCG@10": 0.5})


def test_a_process_is_its_own() -> None:
    assert runner.in_own_process(os.getpid) != os.getpid()
    with pytest.raises(ValueError, match="math domain error"):
        runner.in_own_process(math.sqrt, -1.0)


def test_what_a_run_was_made_with() -> None:
    row = circumstances()
    assert row["machine"]["processor"]
    assert set(row["versions"]) == {"tensorflow", "keras", "numpy", "imtlib"}
    assert 50 < row["peak memory, MB"] < 1_000_000


def test_a_file_is_whole_and_holds_no_infinity(tmp_path: Path) -> None:
    path = tmp_path / "a" / "result.json"
    write({"rank": [1, None], "model": "m"}, path)
    assert path.read_text("utf8") == '{\n "model": "m",\n "rank": [1, null]\n}\n'
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]
    with pytest.raises(ValueError, match="Out of range"):
        write({"figure": math.nan}, path)
    assert "model" in path.read_text("utf8")
    none, values = np.zeros(2, np.int32), np.array([3.0, np.inf])
    report = Report(
        "test", (10,), ("all",), values, np.array([0.12345, np.nan]), none, none, np.zeros((1, 1, 0), bool)
    )
    assert (ranks(report), losses(report)) == ([3, None], [0.1235, None])
    assert [rounded(x) for x in (0.1234567, math.nan)] == [0.12346, None]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_says_what_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    said = capsys.readouterr().out
    assert f"usage: python -m experiments {name}" in said
    assert "--results" in said


def test_the_command_leaves_a_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "movielens-1m" / "leave-one-out" / "popularity-seed0.json"
    write({"mine": 1}, path)
    chosen = ["--model", "popularity", "--split", "leave-one-out", "--results", str(tmp_path)]
    main(["benchmark", "movielens-1m", *chosen])
    assert f"{path}  is there already" in capsys.readouterr().out
