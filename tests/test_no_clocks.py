"""No page and no test reads a clock: `experiments/speed` measures what is quicker, pages read its files."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "chapters").rglob("*.ipynb"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
CLOCK = re.compile(
    r"\b(?:timeit|perf_counter|process_time|thread_time|getrusage)(?:_ns)?\b"
    r"|\b(?:time\.time|time\.monotonic|monotonic_ns|datetime\.now|tf\.timestamp)\b"
    r"|^\s*(?:import time\b|from time\b|%+time)",
    re.MULTILINE,
)


def code(path: Path) -> str:
    """What of a file runs: the code cells of a notebook, or all of a module."""
    if path.suffix == ".py":
        return path.read_text("utf8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


@pytest.mark.parametrize(("files", "fewest"), [(PAGES, 15), (TESTS, 40)], ids=["pages", "tests"])
def test_no_clock_is_read(files: list[Path], fewest: int) -> None:
    assert len(files) >= fewest, "there is nothing to look at"
    found = {str(path.relative_to(ROOT)): CLOCK.findall(code(path)) for path in files}
    assert {name: clocks for name, clocks in found.items() if clocks} == {}


@pytest.mark.parametrize(
    "line",
    ["import time", "from timeit import repeat", "time.monotonic()", "perf_counter_ns()", "%%time"],
)
def test_a_clock_is_recognised(line: str) -> None:
    assert CLOCK.search(f"x = 1\n{line}\n")


@pytest.mark.parametrize("line", ["is_monotonic_decreasing", "log.time.max()", "split_by_time(log)"])
def test_what_is_no_clock_is_passed_by(line: str) -> None:
    assert not CLOCK.search(line)
