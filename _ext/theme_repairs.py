"""Repairs what the theme and Sphinx write on every page so that a reader can use it.

- The arrows that unfold the table of contents have no name: a screen reader says "button" and nothing else.
- A signature of several lines is marked as a list of definitions that has none.
- An entry of the bibliography has a role that readers no longer know.
- Whoever has not chosen light or dark yet gets an error in the console: the theme wants a word there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx

# The setting `default_mode: auto` would do it too, but leaves the page without colours where scripts are off.
CHOOSE = 'document.documentElement.dataset.mode ||= "auto";'


def name_arrows(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let the template's function for the table of contents name each arrow after its page."""
    contents: Callable[..., Any] = context["generate_toctree_html"]

    def named(*args: Any, **options: Any) -> Any:
        found = contents(*args, **options)
        for arrow in found.select("li > details > summary") if found else ():
            link = arrow.find_parent("li").find("a")
            arrow["aria-label"] = f"Pages of {link.get_text(strip=True)}"
        return found

    context["generate_toctree_html"] = named


def repair_roles(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Say that the lines of a signature are a list by looks only, and that a cited work is in a list."""
    if "body" in context:
        body = context["body"].replace("<dl>\n<dd>", '<dl role="presentation">\n<dd>')
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, after the theme."""
    app.add_js_file(None, body=CHOOSE)
    app.connect("html-page-context", name_arrows, priority=900)
    app.connect("html-page-context", repair_roles, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
