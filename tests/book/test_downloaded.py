"""A notebook that a reader has downloaded: alone in an empty folder, beside an installed library."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from support.repository import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` of the wheel puts into a folder."""
    place = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(place)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    with zipfile.ZipFile(next(place.glob("imtlib-*.whl"))) as wheel:
        wheel.extractall(place / "site")
    return place / "site"


def test_the_wheel_holds_the_library_and_what_its_pages_read(installed: Path) -> None:
    assert (installed / "imtlib" / "results" / "speed.json").exists()
    assert (installed / "imtlib" / "pretrained" / "simulated-small.json").exists()
    assert not list(installed.glob("experiments*"))
    assert not list((installed / "imtlib" / "results").rglob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["results", "newcomers"])
def test_a_downloaded_notebook_runs_alone(
    name: str, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the kernel would measure which lines of this copy run.
    monkeypatch.delenv("IPYTHONDIR", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(installed), *sys.path]))
    notebook = nbformat.read(ROOT / "chapters" / f"{name}.ipynb", as_version=4)
    where = nbformat.v4.new_code_cell("import imtlib\nprint(imtlib.__file__)")
    notebook.cells.insert(0, where)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert where.outputs[0]["text"].startswith(str(installed))
