"""What a process sees of the library: nothing on standard error, and a fork that fails at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from imtlib.quiet import quiet

START = """
import imtlib as imt
log, truth = imt.simulate(users=30, events=8)
model = imt.InterestMigrationModel.for_log(log, units=4, heads=1, attention="none")
"""
FIT = "imt.fit(model, imt.leave_one_out(log), epochs=1, progress=False)"
FORK = """
import multiprocessing
work = multiprocessing.get_context("fork").Process(target=model.score, args=[log.histories()])
work.start()
work.join(60)
print("exit code", work.exitcode)
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**known, **environment},
    )


@pytest.mark.slow
def test_a_first_fit_writes_nothing_to_standard_error() -> None:
    done = run(START + FIT)
    assert (done.returncode, done.stderr) == (0, "")


def test_whoever_asks_hears_tensorflow() -> None:
    done = run("import imtlib", TF_CPP_MIN_LOG_LEVEL="0")
    assert "oneDNN" in done.stderr or "cuda" in done.stderr.lower()


def load_what_is_missing() -> None:
    with quiet():
        os.write(2, b"a library is missing\n")
        raise ImportError


def test_what_was_kept_quiet_is_told_when_something_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
        with pytest.raises(ImportError):
            load_what_is_missing()
        with quiet():
            os.write(2, b"not heard\n")
        assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
        with quiet():
            os.write(2, b"heard, since somebody asked\n")
    assert capfd.readouterr().err == "a library is missing\nheard, since somebody asked\n"


@pytest.mark.slow
def test_a_fork_after_use_fails_at_once_and_says_what_to_do() -> None:
    done = run(START + FORK)
    assert "exit code 1" in done.stdout
    assert "get_context('spawn')" in done.stderr
