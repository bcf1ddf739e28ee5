"""Lets docstrings be written as they are read: `code` in backticks, formulas between dollar signs.

Sphinx reads docstrings as reStructuredText. Before it does, this turns the marks that the library uses into
theirs. The name of a class in backticks becomes a link to it. Types of arrays are written as in the code.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import inspect

MARKS = re.compile(
    r"""
      ^(?P<indent>[ ]*)\$\$(?P<display>.+?)\$\$(?P<stop>[.,;:]?)
    | ``[^`]+``
    | (?<![:`])`(?P<code>[^`]+)`(?!`)
    | \$(?P<formula>[^$]+)\$
    | (?P<bar>\|)
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
CLASS = re.compile(r"(?!True|False|None)(?:[A-Z][a-z]+)+")
ARRAY = re.compile(
    r"~?(?:numpy\.)?ndarray\[~?tuple\[~?(?:typing\.)?Any, \.\.\.\], "
    r"~?(?:numpy\.)?dtype\[(~?[\w.]+)\]\]"
)
SHAPED = re.compile(r"\[~?(?:typing\.)?Any, (?=')")
"""Before a shape: the tensors that Keras has no type for."""
HELD = ("attribute", "data", "property")
"""Kinds whose first line napoleon would take for a type when it holds a colon; ours are sentences."""


def as_rst(text: str) -> str:
    """Write the same text with reStructuredText's marks."""
    return MARKS.sub(_converted, text)


def _converted(found: re.Match[str]) -> str:
    if found["display"]:
        indent, formula = found["indent"], found["display"].strip() + found["stop"]
        body = "\n".join(f"{indent}   {line.strip()}" for line in formula.splitlines())
        return f"{indent}.. math::\n\n{body}\n\n{indent}"
    if found["bar"]:
        return r"\|"
    # reStructuredText wants space around its marks; a backslash before a space is one that does not show.
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    return (
        ("\\ " if before.isalnum() else "")
        + _inline(found)
        + ("\\ " if after.isalnum() or after in ("[", "(") else "")
    )


def _inline(found: re.Match[str]) -> str:
    if found["formula"]:
        return f":math:`{' '.join(found['formula'].split())}`"
    if found["code"]:
        code = " ".join(found["code"].split())
        return f":py:obj:`~.{code}`" if CLASS.fullmatch(code) else f"``{code}``"
    return found[0]


class _Held:
    """Our text of the kinds above, kept while napoleon works on its own copy."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}

    def before(self, app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = as_rst("\n".join(lines)).split("\n")
        if what in HELD:
            self.lines[name] = list(lines)

    def after(self, app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        if what in HELD:
            lines[:] = self.lines.pop(name)


def signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, given: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Show a layer's own arguments, which Keras hides, and arrays and tensors as the code writes them."""
    if what == "class" and given == "(*args, **kwargs)":
        own = inspect.signature(obj.__init__, bound_method=True)
        given = inspect.stringify_signature(own, show_return_annotation=False, unqualified_typehints=True)
    return given and _as_written(given), returns and _as_written(returns)


def _as_written(types: str) -> str:
    return SHAPED.sub("[Tensor, ", ARRAY.sub(r"NDArray[\1]", types))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, on both sides of napoleon."""
    held = _Held()
    app.connect("autodoc-process-docstring", held.before, priority=100)
    app.connect("autodoc-process-docstring", held.after, priority=900)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
