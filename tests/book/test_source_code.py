"""Code on a page is the library's own, without its docstrings, and still code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from imtlib import attention
from imtlib.book.source_code import show


def test_it_is_the_code_of_the_file_without_docstrings() -> None:
    shown = show(attention.combine, attention.StateQueryAttention)
    assert shown.code.startswith("# imtlib.attention\n")
    tree = ast.parse(shown.code)
    named = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert named == ["combine", "StateQueryAttention"]
    documented = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert not any(ast.get_docstring(node) for node in documented)
    file = Path(attention.__file__).read_text("utf8")
    assert all(line in file for line in shown.code.splitlines()[1:])


def test_a_method_is_shown_without_its_class() -> None:
    shown = show(attention.ConstantQueryAttention.call)
    assert '\ndef call(self, states: Float[Tensor, "B L d"], real: Bool[Tensor, "B L-1"])' in shown.code
    assert '"""' not in shown.code


def test_pages_render_it_as_code() -> None:
    first, *code, last = show(attention.combine)._repr_markdown_().splitlines()
    assert (first, last) == ("```python", "```")
    shown = ast.parse("\n".join(code)).body[0]
    assert isinstance(shown, ast.FunctionDef)
    assert shown.name == "combine"


def test_what_has_no_source_is_refused() -> None:
    with pytest.raises(TypeError):
        show(len)
