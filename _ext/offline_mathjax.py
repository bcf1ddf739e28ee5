"""Copies MathJax into the built book, so that formulas are set without asking another host."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from sphinx.application import Sphinx

BUNDLE = "tex-mml-chtml.js"
FONTS = "output/chtml/fonts/woff-v2"


def wheel_folder() -> Path:
    """Find the `mathjax` folder of sphinx-mathjax-offline, whose name no import statement can say."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("sphinx-mathjax-offline is missing: run `make book`, which installs it")
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Take the one bundle that the pages load, and the fonts it asks for (1.6 MB of 24)."""
    if exception is not None or app.builder.format != "html":
        return
    source, target = wheel_folder(), Path(app.outdir) / "_static" / "mathjax"
    (target / FONTS).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / BUNDLE, target / BUNDLE)
    shutil.copytree(source / FONTS, target / FONTS, dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
