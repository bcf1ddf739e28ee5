"""Notebooks as they are committed: executed in order, comparable, with words for every picture."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest
from support.repository import MODULES, NOTEBOOKS, code_cells, tree

MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users|tmp)/\w|[A-Z]:\\\\?Users")
IGNORED = re.compile(
    r"^\s*# ?(?:NBVAL_IGNORE_OUTPUT|NBVAL_SKIP|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE
)
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@every_notebook
def test_every_cell_was_executed_in_order_without_error(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run `make execute`"
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", f"prints to stderr: {cell.source}"
            assert "WARNING:" not in output.get("text", ""), f"prints a warning: {cell.source}"


@every_notebook
def test_outputs_hold_nothing_of_one_run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert not MACHINE.search(path.read_text("utf8"))
    assert not any("execution" in cell.metadata for cell in notebook.cells)


@every_notebook
def test_it_shows_the_library_and_does_not_define_it_again(path: Path) -> None:
    nodes = [node for cell in code_cells(path) for node in ast.walk(tree(cell.source))]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    assert any(name.split(".")[0] == "imtlib" for name in imported)
    defined = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert defined & public_names() == set(), "import these from imtlib"


def public_names() -> set[str]:
    return {
        node.name
        for module in MODULES
        for node in ast.parse(module.read_text("utf8")).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    }


@every_notebook
def test_four_fifths_of_the_cells_are_compared(path: Path) -> None:
    cells = code_cells(path)
    silent = [
        cell
        for cell in cells
        if not cell.outputs
        or IGNORED.search(cell.source)
        or {"nbval-ignore-output", "nbval-skip"} & set(cell.metadata.get("tags", []))
    ]
    assert len(silent) * 5 <= len(cells), [cell.source for cell in silent]


@every_notebook
def test_every_printed_table_is_read_as_myst(path: Path) -> None:
    """Otherwise the page shows its bars and dashes."""
    for cell in code_cells(path):
        if any("| --- |" in output.get("data", {}).get("text/markdown", "") for output in cell.outputs):
            assert cell.metadata.get("mystnb", {}).get("markdown_format") == "myst", cell.source


@every_notebook
def test_every_figure_of_a_notebook_has_words(path: Path) -> None:
    for cell in code_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            if "<svg" in data.get("text/html", ""):
                assert re.search(r'aria-label="[^"]{10,}|<title>[^<]{10,}', data["text/html"]), cell.source
            elif any(kind.startswith("image/") for kind in data):
                words = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
                assert len(words) >= 10, f"no alt text: {cell.source}"
