"""No page and no test reads a clock: what depends on the machine belongs to `experiments/speed`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.repository import NOTEBOOKS, code_cells, found, named, tree

CLOCKS = {"timeit", "perf_counter", "perf_counter_ns", "process_time", "monotonic", "time_ns", "thread_time"}
MAGIC = re.compile(r"^\s*%%?(?:time|timeit)\b", re.MULTILINE)


def clocks(source: str) -> set[str]:
    """Names in some code that read a clock."""
    read = set(MAGIC.findall(source))
    for node in ast.walk(tree(source)):
        if isinstance(node, ast.Attribute):
            of_time = isinstance(node.value, ast.Name) and node.value.id == "time" and node.attr == "time"
            read |= {"time.time"} if of_time else {node.attr} & CLOCKS
        elif isinstance(node, ast.Name):
            read |= {node.id} & CLOCKS
        elif isinstance(node, ast.Import | ast.ImportFrom):
            read |= {alias.name for alias in node.names} & CLOCKS
    return read


@pytest.mark.parametrize(
    "source",
    [
        "import timeit",
        "from time import perf_counter",
        "import time\nbegan = time.time()",
        "time.monotonic()",
        "%timeit f(3)",
        "%%time\nf(3)",
    ],
)
def test_a_clock_is_found(source: str) -> None:
    assert clocks(source)


def test_what_is_no_clock_is_left_alone() -> None:
    assert clocks("time.sleep(1)\nlog.time\nevents.time.max()\n# perf_counter") == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_page_reads_a_clock(path: Path) -> None:
    assert clocks("\n".join(cell.source for cell in code_cells(path))) == set()


@pytest.mark.parametrize("path", found("tests/**/*.py"), ids=named)
def test_no_test_reads_a_clock(path: Path) -> None:
    assert clocks(path.read_text("utf8")) == set()
