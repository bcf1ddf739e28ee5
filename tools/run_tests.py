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

ROOT = Path(__file__).parents[1]
DATA = ROOT / ".coverage"

FEWEST = 90
"""Per cent of the library's lines and branches that the tests must run."""

ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Two tests run at a time, each on a processor of its own."""

# Freed memory goes back to the system, rather than to one of many heaps.
SMALL = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}

COMMON = ["-n", "2", "-p", "tools.progress", "-q", "--no-header"]
KINDS = {
    "unit": ["tests", "--dist=worksteal", "--cov=imtlib", "--cov-report=", "--cov-fail-under=0"],
    # Each notebook in the order of its cells, that with most cells first.
    "notebooks": ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "--dist=loadscope"],
}

# A kernel is killed when its notebook ends, so what it has covered is written after every cell.
MEASURE = """
def _measure():
    import coverage
    running = coverage.Coverage(data_file={data!r}, data_suffix=True, config_file={config!r})
    running.start()
    get_ipython().events.register("post_run_cell", lambda _: running.save())
_measure()
"""


def run(kind: str, more: list[str], folder: Path) -> int:
    """Run one kind of test, and leave its report and what it covered; returns pytest's code."""
    print(f"{kind}:", flush=True)
    startup = folder / "ipython" / "profile_default" / "startup" / "measure.py"
    startup.parent.mkdir(parents=True, exist_ok=True)
    startup.write_text(MEASURE.format(data=str(DATA), config=str(ROOT / "pyproject.toml")), "utf8")
    set_here = {**ONE_THREAD, **SMALL, "IPYTHONDIR": str(folder / "ipython")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        *KINDS[kind],
        *COMMON,
        f"--junitxml={folder / kind}.xml",
        *more,
    ]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **set_here}, check=False).returncode


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
    """Per cent of the library's lines and branches that ran, in tests and in notebooks."""
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--append", "--quiet"], cwd=ROOT, check=True)
    total = [*coverage, "report", "--format=total", "--precision=1"]
    return float(subprocess.run(total, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def main() -> int:
    """Run what the command line names, by default everything."""
    began = time.monotonic()
    kinds = [kind for kind in KINDS if kind in sys.argv[1:]] or list(KINDS)
    notebooks = [name for name in sys.argv[1:] if name not in KINDS] or ["chapters"]
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    codes, said = [], []
    reasons: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            codes.append(run(kind, notebooks if kind == "notebooks" else [], Path(folder)))
            report = Path(folder, f"{kind}.xml")
            ends, why = counted(report) if report.exists() else (Counter(["failed"]), Counter[str]())
            reasons += why
            said.append(f"{kind}: " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items())))
    if reasons:
        said.append("skipped: " + ", ".join(f"{count} × {why}" for why, count in reasons.most_common()))
    if kinds == list(KINDS):
        share = covered()
        codes.append(share < FEWEST)
        said.append(f"coverage {share} % of lines and branches, at least {FEWEST} asked")
    unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kilobytes elsewhere
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
    said.append(f"largest process {largest:.1f} GB")
    minutes = (time.monotonic() - began) / 60
    print(f"\n{'FAILED' if any(codes) else 'All passed'} in {minutes:.1f} minutes. {'; '.join(said)}.")
    return int(any(codes))


if __name__ == "__main__":
    raise SystemExit(main())
