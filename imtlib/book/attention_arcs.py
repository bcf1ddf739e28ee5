"""Attention over one history, drawn: an arc for each migration, as wide and dark as its weight."""

from __future__ import annotations

import re
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Arc
from numpy.typing import NDArray

PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
"""Behind a number, so that no line crosses it."""

START = "(start)"
"""Stands for $h_0$, before any event: the first migration leaves it."""


def short_title(name: str, width: int = 24) -> str:
    """Fit a film's title into a picture: without its year, an article back in front, cut to a width.

    Args:
        name: such as `"Green Mile, The (1999)"`.
        width: most letters kept, at least 2.

    Returns:
        Such as `"The Green Mile"`.
    """
    title = re.sub(r"\s*\(\d{4}\)$", "", name)
    title = re.sub(r"^(.*), (The|A|An)\b", r"\2 \1", title)
    return title if len(title) <= width else title[: width - 1].rstrip() + "…"


def arcs_figure(
    weights: NDArray[np.floating],
    events: Sequence[str],
    asked: str,
    marks: Sequence[int] = (),
    named: float = 0.1,
) -> Figure:
    """Draw one history from top to bottom, and beside it for each head an arc for each migration.

    The wider and darker an arc, the more the head reads of that migration when the request comes.

    Args:
        weights: of the last position, `(heads, T)`.
        events: T short names, oldest first.
        asked: what stands at the place of the request, below the last event.
        marks: events (counted from 1) above which a dashed line is drawn, such as one after a long break.
        named: an arc of at least this weight carries it in per cent.

    Returns:
        A figure, five inches wide, to be read on a phone.

    Raises:
        ValueError: the number of names is not the number of migrations.
    """
    heads, length = weights.shape
    if len(events) != length:
        raise ValueError(f"{len(events)} names for {length} migrations: give one name an event")
    figure, axis = plt.subplots(figsize=(5.0, 0.26 * (length + 4)), layout="constrained")
    step, top = 0.9, float(weights.max())
    for head in range(heads):
        ink = mpl.colormaps["Blues" if head % 2 == 0 else "Oranges"]
        x = head * step
        axis.plot([x, x], [0, length], color="#bbbbbb", lw=0.8, zorder=1)
        axis.plot([x] * (length + 1), range(length + 1), ".", color="#888888", ms=3, zorder=2)
        for t, weight in enumerate(weights[head]):
            part = float(weight) / top
            line = {"color": ink(0.25 + 0.7 * part**0.5), "lw": 0.4 + 6 * part}
            axis.add_patch(Arc((x, t + 0.5), 0.5, 1.0, theta1=-90, theta2=90, zorder=3, **line))
            if weight >= named:
                axis.text(x + 0.34, t + 0.5, f"{100 * weight:.0f}", va="center", fontsize=9, bbox=PLATE)
        axis.text(x + 0.1, -1.1, f"head {head + 1}", ha="center", fontsize=10, color=ink(0.9))
    for mark in marks:
        axis.axhline(mark - 0.5, xmin=0, color="#888888", lw=0.8, ls=(0, (4, 3)), zorder=0)
    axis.set_yticks(range(length + 2), [START, *events, asked], fontsize=10)
    axis.get_yticklabels()[-1].set_fontweight("bold")
    axis.set_ylim(length + 1.5, -1.7)
    axis.set_xlim(-0.2, (heads - 1) * step + 0.75)
    axis.set_xticks([])
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    return figure
