"""The chapters again, with models that have learnt nothing: claims about what was learnt must then fail.

`make test-numerics` runs it. `python tests/untrained.py chapters/quickstart.ipynb` lists the claims missed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import linecache
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import pytest

import imtlib as imt
from imtlib.book import claims as checks
from imtlib.checkpoints import load_pretrained
from imtlib.training.trainer import fit

# Welcome and The library claim nothing that is learnt, and Results reads files that are there already.
UNTAUGHT = ("welcome", "library", "results")
# Most of Your own log is about files.
FEWEST = {"own_log": 3}
CHAPTERS = sorted(path for path in Path("chapters").glob("*.ipynb") if path.stem not in UNTAUGHT)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_an_untrained_model_misses_the_claims(path: Path) -> None:
    """In a process of its own, since the chapter gets other functions than the library's."""
    ran = subprocess.run([sys.executable, __file__, str(path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    wrong = json.loads(ran.stdout)
    print(f"{path.stem}: {len(wrong)} claims missed: {wrong}")
    assert len(wrong) >= FEWEST.get(path.stem, 5)


def fresh(name: str, log: imt.BehaviourLog | None = None) -> imt.InterestMigrationModel:
    """The model of `load_pretrained`, with the weights that it had before training."""
    return imt.InterestMigrationModel.from_config(load_pretrained(name, log).get_config())


def missed(path: Path) -> list[str]:
    """The claims of a chapter that fail when nothing was learnt."""
    wrong: list[str] = []
    claim = checks.claim

    @functools.wraps(claim)
    def note(what: str, found: float, **bounds: Any) -> None:
        try:
            claim(what, found, **bounds)
        except AssertionError:
            wrong.append(what)

    checks.claim = note
    imt.load_pretrained = fresh  # type: ignore[assignment]
    imt.fit = lambda *given, **how: fit(*given, **{**how, "learning_rate": 0.0, "weight_decay": 0.0})
    space: dict[str, Any] = {"display": lambda *shown: None}
    cells = nbformat.read(path, as_version=4).cells
    with contextlib.chdir(path.parent):  # where a notebook runs
        for number, cell in enumerate(cells):
            if cell.cell_type == "code":
                name = f"<{path.stem}, cell {number}>"
                # TensorFlow reads the source of what it makes a graph of.
                linecache.cache[name] = (len(cell.source), None, cell.source.splitlines(True), name)
                exec(compile(cell.source, name, "exec"), space)
    return wrong


if __name__ == "__main__":
    mpl.use("agg")
    with contextlib.redirect_stdout(io.StringIO()):
        found = missed(Path(sys.argv[1]))
    print(json.dumps(found))
