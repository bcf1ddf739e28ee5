"""Pages: all in the contents, every module in the reference, every term in Chinese, images in words."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from support.repository import MODULES, NOTEBOOKS, ROOT, found, named

PAGES = found("*.md", "chapters/**/*.md", "data/**/*.md", "experiments/**/*.md", ".github/**/*.md")


def contents() -> set[str]:
    return set(re.findall(r"(?:file|root):\s*(\S+)", (ROOT / "_toc.yml").read_text("utf8")))


def test_the_contents_name_every_chapter_and_no_other_page() -> None:
    chapters = {named(path.with_suffix("")) for path in [*NOTEBOOKS, *found("chapters/**/*.md")]}
    assert contents() == chapters


def test_every_module_has_its_place_in_the_reference() -> None:
    reference = "".join(page.read_text("utf8") for page in found("chapters/api/*.md"))
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES}
    assert set(re.findall(r"automodule:: (imtlib[\w.]*)", reference)) == modules


def test_every_short_name_has_its_line_in_the_reference() -> None:
    front = (ROOT / "chapters" / "api.md").read_text("utf8")
    homes = dict(re.findall(r"`imt\.(\w+) <(imtlib[\w.]+)\.\1>`", front))
    public = re.findall(
        r"^from (imtlib[\w.]+) import ([\w, ]+)$",
        (ROOT / "imtlib/__init__.py").read_text("utf8"),
        re.MULTILINE,
    )
    exported = {name: home for home, names in public for name in names.split(", ")}
    assert len(homes) >= 10
    assert homes.items() <= exported.items()


def test_every_term_of_the_glossary_has_its_chinese() -> None:
    text = (ROOT / "chapters/glossary.md").read_text("utf8")
    glossaries = re.findall(r"```\{glossary\}\n(.*?)```", text, re.DOTALL)
    terms = [line for part in glossaries for line in part.splitlines() if line and not line.startswith(" ")]
    assert len(terms) > 50
    assert [term for term in terms if not re.fullmatch(r".+ \([A-Z]?[\u4e00-\u9fff]+\)", term)] == []
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=named)
def test_every_image_in_text_has_words(path: Path) -> None:
    texts = [path.read_text("utf8")]
    if path.suffix == ".ipynb":
        texts = [
            cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"
        ]
    for text in texts:
        assert not re.search(r"!\[\s*\]\(", text)
        for directive in re.findall(r"```\{(?:figure|image)\}.*?```", text, re.DOTALL):
            assert ":alt:" in directive
        for tag in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r'alt="[^"]+"', tag)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_command_and_file_that_a_page_names_exists(path: Path) -> None:
    text = path.read_text("utf8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf8"), re.MULTILINE))
    assert "test" in targets
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    for link in re.findall(r"\]\((?!\w+:|#)([^)\s#]+)", text):
        assert (path.parent / link).exists(), link
    below = re.findall(
        r"`((?:imtlib|tests|chapters|experiments|tools|_ext)/[\w./-]*\.(?:py|md|ipynb))`", text
    )
    assert [name for name in below if not (ROOT / name).exists()] == []
