"""Shows the buttons that need the repository's address once `repository: url` in `_config.yml` is set."""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.config import Config

NEED_ADDRESS = ("use_repository_button", "use_issues_button", "use_edit_page_button")


def set_buttons(app: Sphinx, config: Config) -> None:
    """Show no launch buttons without an address; with one those, and repository, issue and edit buttons."""
    options = config.html_theme_options
    known = bool(options.get("repository_url"))
    options.update(dict.fromkeys(NEED_ADDRESS, known))
    if not known:
        options.pop("launch_buttons", None)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, before the theme reads its options."""
    app.connect("config-inited", set_buttons, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
