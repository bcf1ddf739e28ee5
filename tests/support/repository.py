"""The files of the repository, for the tests of what must hold of them."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]


def found(*patterns: str) -> list[Path]:
    """Files below the root, in order. A pattern that finds none fails: a test would then test nothing."""
    files: set[Path] = set()
    for pattern in patterns:
        these = [path for path in ROOT.glob(pattern) if path.is_file() and "node_modules" not in path.parts]
        assert these, f"no file is called {pattern}"
        files.update(these)
    return sorted(files)


def named(path: Path) -> str:
    """A path below the root, to name a test by."""
    return str(path.relative_to(ROOT))


NOTEBOOKS = found("chapters/**/*.ipynb")
MODULES = [path for path in found("imtlib/**/*.py") if not path.stem.startswith("__")]


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tree(source: str) -> ast.Module:
    """A cell's code; lines for IPython are left out."""
    return ast.parse(
        "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
    )
