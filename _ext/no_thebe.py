"""Leaves out the scripts of Thebe, which the theme adds: the book runs no code in the browser."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def drop_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Keep every script but those; their address is on another host, and declaring it twice is an error."""
    context["script_files"] = [script for script in context["script_files"] if not _is_thebe(script)]


def _is_thebe(script: Any) -> bool:
    return "thebe" in str(script.filename) or "THEBE" in script.attributes.get("body", "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, after the theme."""
    app.connect("html-page-context", drop_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
