"""One version and one name everywhere, and no file that names a machine."""

from __future__ import annotations

import re
import tomllib

import yaml
from support.repository import ROOT, found, named

import imtlib as imt

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users|tmp)/\w|[A-Z]:\\\\?Users")
TEXT = {".py", ".md", ".yml", ".toml", ".bib", ".cff", ".json", ".lock", ".ipynb", ""}


def test_the_citation_is_complete_and_names_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["authors"] == [{"name": "The imtlib authors"}]
    assert citation["version"] == PROJECT["version"]


def test_the_library_says_its_version() -> None:
    assert imt.__version__ == PROJECT["version"]


def test_the_changes_of_this_version_are_written_down() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0].startswith(f"{PROJECT['version']} ")


def test_no_file_names_a_machine() -> None:
    files = found(
        "*",
        *(
            f"{folder}/**/*"
            for folder in ("imtlib", "_ext", "tools", "experiments", ".ci", ".github", "chapters", "data")
        ),
    )
    texts = [path for path in files if path.suffix in TEXT and not path.name.startswith(".git")]
    texts = [path for path in texts if not {"cache", ".coverage"} & set(path.parts)]
    assert len(texts) > 100
    named_machines = [
        named(path) for path in texts if MACHINE.search(path.read_text("utf8").replace("/path/to/", ""))
    ]
    assert named_machines == []
