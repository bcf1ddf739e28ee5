"""A pytest plugin that says every few seconds where the tests are, in place of a dot for each.

`python -m pytest -p tools.progress …`; of workers, only the process that hands out the tests speaks.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

EVERY = 10.0
"""Seconds between two lines."""


class Progress:
    """Counts what is done, and prints it beside what runs now."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.total = 0
        self.done = 0
        self.running: list[str] = []
        self.stop = threading.Event()
        threading.Thread(target=self._speak, daemon=True).start()

    def _speak(self) -> None:
        while not self.stop.wait(EVERY):
            print(self.line(), flush=True)

    def line(self) -> str:
        """Where the tests are, now."""
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        if not self.total:
            return f"{minutes}:{seconds:02d}  collecting"
        now = ", ".join(name.removeprefix("tests/") for name in self.running) or "waiting"
        return f"{minutes}:{seconds:02d}  {self.done} of {self.total} done; at {now}"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers, this process has the list."""
        self.total = self.total or len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """With workers, each has the whole list."""
        del node
        self.total = len(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self.running.append(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        self.done += 1
        if nodeid in self.running:
            self.running.remove(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Name at once what fails, and print no letter for any test."""
        if report.passed and report.when == "call":
            return "passed", "", ""
        if report.skipped and not hasattr(report, "wasxfail"):
            return "skipped", "", ""
        if report.failed:
            print(f"FAILED {report.nodeid}", flush=True)
            return "failed" if report.when == "call" else "error", "", ""
        return None

    def pytest_sessionfinish(self) -> None:
        """Silence."""
        self.stop.set()


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count, but not in a worker."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(), "progress")
