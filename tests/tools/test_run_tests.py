"""What `make test` says at its end is what pytest has counted, and while it runs, what runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.progress import Progress
from tools.run_tests import counted

REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"/>
<testcase name="c"><skipped message="no mirror"/></testcase>
<testcase name="d"><skipped message="no mirror"/></testcase>
<testcase name="e"><failure message="assert 1 == 2"/></testcase>
<testcase name="f"><error message="at teardown"/><skipped message="no mirror"/></testcase>
</testsuite></testsuites>"""


def test_every_end_is_counted_and_every_reason_kept(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT, encoding="utf8")
    ends, reasons = counted(report)
    assert ends == Counter(passed=2, skipped=2, failed=2)
    assert reasons == Counter({"no mirror": 2})


def test_progress_names_what_is_done_and_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.pytest_sessionfinish()
    assert progress.line().endswith("collecting")
    progress.pytest_xdist_node_collection_finished(None, ["a", "b", "c"])
    for name in ("tests/a.py::one", "tests/b.py::two"):
        progress.pytest_runtest_logstart(name)
    progress.pytest_runtest_logfinish("tests/a.py::one")
    assert progress.line().endswith("1 of 3 done; at b.py::two")
    failed = SimpleNamespace(passed=False, skipped=False, failed=True, when="call", nodeid="tests/b.py::two")
    assert progress.pytest_report_teststatus(failed) == ("failed", "", "")
    assert capsys.readouterr().out == "FAILED tests/b.py::two\n"
