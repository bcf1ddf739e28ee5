"""Code on a page: an object's own source, so that what is shown is what runs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourceCode:
    """Python source that a page renders in its own colours.

    Attributes:
        code: the text.
    """

    code: str

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.code}\n```"

    def __repr__(self) -> str:
        return self.code


def show(*things: Any) -> SourceCode:
    """Show the source of functions, methods or classes of the library, as it stands in its file.

    Docstrings are left out: the API reference has them.

    Args:
        things: what to show, in this order.

    Returns:
        What Jupyter and the book render as code, a line with the module's name on top.

    Raises:
        TypeError: one of them has no Python source.
    """
    module = inspect.getmodule(things[0])
    head = f"# {module.__name__}\n" if module else ""
    return SourceCode(head + "\n\n".join(_without_docstrings(thing) for thing in things))


def _without_docstrings(thing: Any) -> str:
    code = textwrap.dedent(inspect.getsource(thing)).rstrip()
    lines: list[str | None] = list(code.splitlines())
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            first, last = node.body[0].lineno, node.body[0].end_lineno or node.body[0].lineno
            # In a class, an empty line sets the docstring apart.
            apart = last < len(lines) and not (lines[last] or "").strip()
            lines[first - 1 : last + apart] = [None] * (last + apart - first + 1)
    return "\n".join(line for line in lines if line is not None)
