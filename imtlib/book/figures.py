"""Pictures that the pages share, drawn by code and legible in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

STEPS = (
    ("Encoding", "编码", "events → states"),
    ("Attention", "注意力", "which shifts matter"),
    ("Prediction", "预测", "coming interests"),
    ("Transition", "转移", "interest → interest"),
    ("Recommendation", "推荐", "interests → items"),
)


@dataclass(frozen=True)
class Drawing:
    """An SVG that takes its ink from the page around it, so that it reads in light and in dark.

    Attributes:
        svg: the drawing.
        alt: what it shows, in words.
    """

    svg: str
    alt: str

    def _repr_html_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return self.alt


def map_of_steps(lit: int | None = None) -> Drawing:
    """Draw the map of the five steps, one of them lit.

    Args:
        lit: the step, from 1 to 5; none is lit by default.

    Returns:
        A drawing, as wide as the page.
    """
    wide, high, gap = 178, 96, 22
    parts = []
    for place, (name, chinese, what) in enumerate(STEPS):
        x = place * (wide + gap)
        on = lit == place + 1
        fill = "#c2410c" if on else "none"
        ink = "#ffffff" if on else "currentColor"
        parts.append(
            f'<rect x="{x + 1}" y="1" width="{wide - 2}" height="{high - 2}" rx="10" fill="{fill}" '
            f'stroke="{"#c2410c" if on else "currentColor"}" stroke-width="2"/>'
            + svg_text(x + wide / 2, 32, f"{place + 1} {name}", ink, 17, "bold")
            + svg_text(x + wide / 2, 56, chinese, ink, 16)
            + svg_text(x + wide / 2, 80, what, ink, 15)
        )
        if place:
            parts.append(
                f'<path d="M{x - gap + 3} {high / 2} h{gap - 9} m-6 -6 l6 6 l-6 6" fill="none" '
                'stroke="currentColor" stroke-width="2"/>'
            )
    alt = "The five steps in order: " + ", ".join(f"{k + 1} {name}" for k, (name, *_) in enumerate(STEPS))
    alt += f". Step {lit}, {STEPS[lit - 1][0]}, is lit." if lit else "."
    width = len(STEPS) * (wide + gap) - gap
    # On a phone the map is scrolled, not shrunk until nobody can read it.
    svg = (
        f'<div style="overflow-x:auto" tabindex="0"><svg viewBox="0 0 {width} {high}" role="img" '
        f'aria-label="{escape(alt)}" width="100%" style="min-width:680px;max-width:{width}px;'
        f'font-family:sans-serif">{"".join(parts)}</svg></div>'
    )
    return Drawing(svg, alt)


def svg_text(x: float, y: float, text: str, ink: str, size: int, weight: str = "normal") -> str:
    """Write a line of text into a drawing.

    Args:
        x, y: its middle and its base line, in the drawing's units.
        text: the words.
        ink: their colour, as CSS has it.
        size: of the letters, in the drawing's units.
        weight: `normal` or `bold`.

    Returns:
        An SVG element.
    """
    return (
        f'<text x="{x}" y="{y}" text-anchor="middle" font-size="{size}" font-weight="{weight}" '
        f'fill="{ink}">{escape(text)}</text>'
    )


def matrix_figure(
    matrices: Sequence[NDArray[np.floating]],
    titles: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
) -> Figure:
    """Draw transition matrices side by side, on one scale.

    Args:
        matrices: each `(len(rows), len(columns))`, probabilities.
        titles: one a matrix.
        rows: names of the interests that are left.
        columns: names of the interests that are reached.

    Returns:
        A figure; every cell of at least 0.15 carries its number.
    """
    top = max(float(np.nanmax(matrix)) for matrix in matrices)
    figure, axes = plt.subplots(
        1, len(matrices), figsize=(5.2 * len(matrices), 4.8), squeeze=False, layout="constrained"
    )
    for axis, matrix, title in zip(axes[0], matrices, titles, strict=True):
        axis.imshow(matrix, cmap="Oranges", vmin=0, vmax=top)
        axis.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
        axis.set_yticks(range(len(rows)), rows)
        axis.set_title(title)
        for y, x in zip(*np.nonzero(np.nan_to_num(matrix) >= 0.15), strict=True):
            ink = "white" if matrix[y, x] > 0.6 * top else "black"
            axis.text(x, y, f"{matrix[y, x]:.2f}", ha="center", va="center", color=ink, fontsize=8)
    axes[0][0].set_ylabel("from")
    return figure
