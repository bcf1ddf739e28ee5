"""The order of the rooms holds, and each of its contracts can be broken."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest
from support.repository import ROOT

LINT = Path(sysconfig.get_path("scripts")) / "lint-imports"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["tool"]["importlinter"]["contracts"]
BREACHES = {
    "layers": ("imtlib/data/log.py", "import imtlib.model"),
    "experiments": ("imtlib/training/trainer.py", "import experiments.recipes"),
    "steps": ("imtlib/attention.py", "import imtlib.data.reader"),
    "data": ("imtlib/data/log.py", "import keras"),
    "evaluation": ("imtlib/evaluation/ranking.py", "import imtlib.model"),
    "plots": ("imtlib/analysis/transitions.py", "import matplotlib"),
    "dialect": ("imtlib/attention.py", "import tensorflow"),
}
"""An import that each contract forbids, and the file that it is written into."""


def lint(folder: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    asked = [] if contract is None else ["--contract", contract]
    return subprocess.run(
        [LINT, "--no-logo", "--no-cache", *asked], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code and its contracts, to be spoilt."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("imtlib", "experiments"):
        only_code = shutil.ignore_patterns("*.json", "__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=only_code)
    return tmp_path


def test_every_contract_has_its_breach() -> None:
    assert {contract["id"] for contract in CONTRACTS} == set(BREACHES)


@pytest.mark.parametrize("contract", BREACHES)
def test_a_contract_is_broken_by_an_import_that_it_forbids(copy: Path, contract: str) -> None:
    file, line = BREACHES[contract]
    kept = lint(copy, contract)
    assert kept.returncode == 0, kept.stdout
    with (copy / file).open("a", encoding="utf8") as code:
        code.write(f"\n{line}\n")
    broken = lint(copy, contract)
    assert broken.returncode == 1
    assert "0 kept, 1 broken" in broken.stdout
    assert f"{Path(file).with_suffix('')}".replace("/", ".") in broken.stdout


def test_a_module_without_a_place_is_refused(copy: Path) -> None:
    (copy / "imtlib" / "helpers.py").write_text('"""Anything."""\n', encoding="utf8")
    ran = lint(copy, "layers")
    assert ran.returncode == 1
    assert "helpers" in ran.stdout
