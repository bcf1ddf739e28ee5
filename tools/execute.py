"""Run notebooks in place and keep their outputs, so that running them again changes no byte.

Usage: `python tools/execute.py chapters/quickstart.ipynb …` (or `make execute`).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LIMIT = 600
"""Seconds that one cell may take."""


def execute(path: Path) -> float:
    """Run one notebook from top to bottom and write it back; returns the seconds it took.

    What differs between machines or runs is left out: times, the Python version, widget states.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    began = time.monotonic()
    client = NotebookClient(
        notebook,
        timeout=LIMIT,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    _refuse_complaints(notebook, path)
    merge_streams(notebook)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        for noise in ("execution", "collapsed", "scrolled", "trusted"):
            cell.metadata.pop(noise, None)
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf8")
    return time.monotonic() - began


def merge_streams(notebook: nbformat.NotebookNode) -> None:
    """Join printed lines that stand next to each other: where a kernel cuts them is a matter of timing."""
    for cell in notebook.cells:
        merged: list[nbformat.NotebookNode] = []
        for output in cell.get("outputs", []):
            last = merged[-1] if merged else None
            if (
                last is not None
                and output.output_type == last.output_type == "stream"
                and output.name == last.name
            ):
                last.text += output.text
            else:
                merged.append(output)
        if cell.cell_type == "code":
            cell.outputs = merged


def _refuse_complaints(notebook: nbformat.NotebookNode, path: Path) -> None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise SystemExit(
                    f"{path} prints to stderr and was not written:\n{cell.source}\n---\n{output.text}"
                )


def main() -> None:
    """Run every notebook named on the command line."""
    # With this set, the kernel does not forward the lines that TensorFlow's C++ part prints when it starts.
    os.environ["PYTEST_CURRENT_TEST"] = "execute"
    for name in sys.argv[1:]:
        seconds = execute(Path(name))
        print(f"{name}: {seconds:.0f} s")


if __name__ == "__main__":
    main()
