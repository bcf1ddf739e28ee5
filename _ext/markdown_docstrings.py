"""Lets docstrings be written as they are read: `code` in backticks, formulas between dollar signs.

Sphinx reads docstrings as reStructuredText. Before it does, this turns the three marks that the library uses into
theirs. A name of a class in backticks becomes a link to it.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

MARKS = re.compile(r"``(?P<rst>[^`]+)``|(?<![:`])`(?P<code>[^`]+)`(?!`)|\$(?P<formula>[^$]+)\$", re.DOTALL)
DISPLAY = re.compile(r"^(?P<indent> *)\$\$(?P<formula>.+?)\$\$", re.DOTALL | re.MULTILINE)
CLASS = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")


def as_rst(text: str) -> str:
    """The same text with reStructuredText's marks."""
    return MARKS.sub(_inline, DISPLAY.sub(_display, text))


def _display(found: re.Match[str]) -> str:
    indent = found["indent"]
    lines = [line.strip() for line in found["formula"].strip().splitlines()]
    body = "\n".join(f"{indent}   {line}" for line in lines)
    return f"{indent}.. math::\n\n{body}\n\n{indent}"


def _inline(found: re.Match[str]) -> str:
    if found["rst"]:
        return found[0]
    if found["formula"]:
        return f":math:`{' '.join(found['formula'].split())}`"
    code = " ".join(found["code"].split())
    return f":py:obj:`~.{code}`" if CLASS.fullmatch(code) else f"``{code}``"


def rewrite(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sphinx' hook: change the lines in place."""
    lines[:] = as_rst("\n".join(lines)).split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", rewrite, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
