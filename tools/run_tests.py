"""Run the unit tests, then every notebook, and end with one line: passed, skipped and why, minutes.

Usage: `python tools/run_tests.py [unit] [notebooks] [chapters/name.ipynb …]` (or `make test`).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

FEWEST = 90
"""Per cent of the library's lines and branches that the tests must run."""

ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Two tests run at a time, each on a processor of its own."""

# Freed memory goes back to the system, rather than to one of many heaps.
SMALL = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}

COMMON = ["-n", "2", "-p", "tools.progress", "-q", "--no-header"]
COVERAGE = ["--cov=imtlib", "--cov-config=pyproject.toml", "--cov-report=", "--cov-fail-under=0"]
KINDS = {
    "unit": ["tests", "--dist", "worksteal"],
    # Each notebook in the order of its cells, that with most cells first.
    "notebooks": [
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=600",
        "--dist",
        "loadscope",
        "--cov-append",
        # Cells run in kernels, which keep data of their own; the worker has none.
        "-Wignore::coverage.exceptions.CoverageWarning",
    ],
}


def run(kind: str, more: list[str], report: Path) -> int:
    """Run one kind of test; returns pytest's code."""
    print(f"{kind}:", flush=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        *KINDS[kind],
        *COMMON,
        *COVERAGE,
        f"--junitxml={report}",
        *more,
    ]
    return subprocess.run(command, env={**os.environ, **ONE_THREAD, **SMALL}, check=False).returncode


def counted(report: Path) -> tuple[Counter[str], Counter[str]]:
    """How many tests of a report ended in which way, and why those were skipped that were."""
    ends: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        failed = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped")
        if skipped is not None and not failed:
            reasons[skipped.get("message", "")] += 1
        ends["failed" if failed else "passed" if skipped is None else "skipped"] += 1
    return ends, reasons


def covered() -> float:
    """Per cent of the library's lines and branches that ran."""
    command = [sys.executable, "-m", "coverage", "report", "--format=total", "--precision=1"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> int:
    """Run what the command line names, by default everything."""
    began = time.monotonic()
    kinds = [kind for kind in KINDS if kind in sys.argv[1:]] or list(KINDS)
    notebooks = [name for name in sys.argv[1:] if name not in KINDS] or ["chapters"]
    codes, said = [], []
    reasons: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            report = Path(folder, f"{kind}.xml")
            codes.append(run(kind, notebooks if kind == "notebooks" else [], report))
            ends, why = counted(report) if report.exists() else (Counter(["failed"]), Counter())
            reasons += why
            said.append(f"{kind}: " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items())))
    if reasons:
        said.append("skipped: " + ", ".join(f"{count} × {why}" for why, count in reasons.most_common()))
    if kinds == list(KINDS):
        share = covered()
        codes.append(share < FEWEST)
        said.append(f"coverage {share} % of lines and branches, at least {FEWEST} asked")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (
        1e9 if sys.platform == "darwin" else 1e6
    )
    said.append(f"largest process {largest:.1f} GB")
    minutes = (time.monotonic() - began) / 60
    print(f"\n{'FAILED' if any(codes) else 'All passed'} in {minutes:.1f} minutes. {'; '.join(said)}.")
    return int(any(codes))


if __name__ == "__main__":
    raise SystemExit(main())
