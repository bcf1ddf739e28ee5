"""The lock file: hashed, from no named index, and enough for what the project asks for."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.repository import ROOT

LOCK = (ROOT / "requirements.lock").read_text("utf8")


def test_it_is_hashed_and_names_no_address() -> None:
    assert "://" not in LOCK
    options = re.search(r"^\s*-", LOCK.replace("    --hash=sha256:", ""), re.MULTILINE)
    assert not options, "an option, such as an index"
    entries = re.split(r"^(?=\w)", re.sub(r"^ *#.*\n", "", LOCK, flags=re.MULTILINE), flags=re.MULTILINE)
    names = [re.match(r"[\w.-]+", entry) for entry in entries if entry.strip()]
    assert len(names) > 50
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())
    assert "imtlib" not in {name[0] for name in names if name}


def test_it_serves_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[\S+\])?==([^\s;]+)", LOCK, re.MULTILINE):
        locked.setdefault(canonicalize_name(name), []).append(version)
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        wanted = Requirement(text)
        versions = locked.get(canonicalize_name(wanted.name), [])
        assert versions, f"{text} is not locked: run `make lock`"
        assert all(wanted.specifier.contains(version) for version in versions), f"{text}: run `make lock`"


def test_extras_that_a_package_asks_for_are_pinned_with_it() -> None:
    """Else pip looks for `coverage[toml]` past its pin, and refuses a newer release for want of a hash."""
    pins = (
        Requirement(f"{name}=={version}")
        for name, version in re.findall(r"^(\S+)==([^\s;]+)", LOCK, re.MULTILINE)
    )
    locked = {canonicalize_name(pin.name): pin.extras for pin in pins}
    asked = [
        (distribution.name, Requirement(text))
        for distribution in importlib.metadata.distributions()
        if canonicalize_name(distribution.name) in locked
        for text in distribution.requires or []
    ]
    wanted = [
        (name, requirement)
        for name, requirement in asked
        if requirement.extras and (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
    ]
    assert wanted
    for name, requirement in wanted:
        pinned = locked[canonicalize_name(requirement.name)]
        assert requirement.extras <= pinned, f"{name} asks for {requirement}: run `make lock`"
