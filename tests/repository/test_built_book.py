"""The built book: no page asks another host for anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from support.repository import ROOT

BUILT = ROOT / "_build" / "html"


class Requests(HTMLParser):
    """Collects what a page loads by itself; links that a reader may follow are not among it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        loads = tag in ("script", "img", "iframe", "source", "video", "audio", "embed", "object")
        if tag == "link" and given.get("rel") not in ("canonical", "license", "author"):
            loads = True
        self.found += [
            given[key] or "" for key in ("src", "href", "data", "srcset") if loads and given.get(key)
        ]


def loaded(page: str) -> list[str]:
    parser = Requests()
    parser.feed(page)
    return parser.found


def test_what_a_page_loads_is_told_from_what_it_links_to() -> None:
    page = '<a href="https://a.org"></a><script src="//b.org/x.js"></script><link rel="license" href="c">'
    assert loaded(page) == ["//b.org/x.js"]


def test_no_built_page_asks_another_host() -> None:
    pages = sorted(BUILT.rglob("*.html"))
    if not pages:
        pytest.skip("the book is not built: run `make book` first")
    outside = {
        (page.name, url)
        for page in pages
        for url in loaded(page.read_text("utf8"))
        if re.match(r"(?:https?:)?//", url)
    }
    for sheet in BUILT.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", sheet.read_text("utf8"))
        outside |= {(sheet.name, url) for url in urls}
    assert outside == set()
    assert (BUILT / "_static" / "mathjax" / "tex-mml-chtml.js").exists()
