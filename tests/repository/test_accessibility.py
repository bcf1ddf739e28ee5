"""Every built page, read by axe-core in Chromium: light and dark, on a phone and on a screen.

It needs the built book, Chromium, Node.js and what `make accessibility` installs, and is skipped when one of
them is missing; under `make accessibility` that is a failure. The environment variable `IMTLIB_BOOK` names
another built folder than `_build/html`, and `IMTLIB_CHROMIUM` a browser that is not on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
from support.repository import ROOT

BOOK = Path(os.environ.get("IMTLIB_BOOK", ROOT / "_build" / "html")).resolve()
TOOL = ROOT / "tools" / "accessibility"
PAGES = [
    str(path.relative_to(BOOK))
    for path in sorted(BOOK.rglob("*.html"))
    # The first page only leads on to another.
    if "_static" not in path.parts and 'http-equiv="Refresh"' not in path.read_text("utf8")[:500]
]
CHROMIUMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
LIMIT = 60
"""Seconds that one page may take."""


def missing(what: str) -> NoReturn:
    if os.environ.get("IMTLIB_ACCESSIBILITY") == "required":
        pytest.fail(what)
    pytest.skip(what)


def chromium() -> str:
    named = os.environ.get("IMTLIB_CHROMIUM")
    for found in map(shutil.which, [named] if named else CHROMIUMS):
        if found:
            return found
    missing("no Chromium: `apt install chromium`, or name one in the environment variable IMTLIB_CHROMIUM")


@pytest.fixture(scope="module")
def faults() -> dict[str, list[str]]:
    """What is wrong with each page."""
    if not PAGES:
        missing("the book is not built: run `make book` first")
    node = shutil.which("node")
    if node is None:
        missing("no Node.js: install version 20 or later; on Debian and Ubuntu `apt install nodejs npm`")
    browser = chromium()
    if not (TOOL / "node_modules" / "axe-core").is_dir():
        missing("axe-core is not installed: run `make accessibility`")
    done = subprocess.run(
        [node, str(TOOL / "check.mjs"), browser, str(BOOK), *PAGES],
        capture_output=True,
        text=True,
        timeout=LIMIT * len(PAGES),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES or ["the book"])
def test_a_page_can_be_read_by_everybody_and_without_a_network(
    page: str, faults: dict[str, list[str]]
) -> None:
    assert not faults[page], "\n".join(faults[page])
