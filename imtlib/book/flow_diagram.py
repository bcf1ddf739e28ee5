"""Where interest goes, drawn: ribbons from the interests of now to those of the next event."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from numpy.typing import NDArray

from imtlib.types import FloatArray

BLUE, ORANGE, GREY = "#1f5fa8", "#c2410c", "#9ca3af"
GAP = 0.02
"""Empty height between two interests of a column; all masses together are 1 high."""


def merge_small(
    flow: NDArray[np.floating],
    names: Sequence[str],
    keep: int,
    always: Sequence[str] = (),
    rest: str = "all others",
) -> tuple[FloatArray, list[str]]:
    """Keep the largest interests of a flow, and the others together as one.

    Args:
        flow: mass that goes from each interest to each, `(K, K)`.
        names: of the K interests.
        keep: how many keep their names: those with most mass, largest first.
        always: names that are kept however little mass they have, in place of the smallest of these.
        rest: the name of all others.

    Returns:
        The flow between them, float64 `(keep + 1, keep + 1)`, and their names; as it was, in the new order,
        if there are no others.
    """
    mass = flow.sum(axis=1) + flow.sum(axis=0)
    asked = np.isin(names, always)
    kept = np.lexsort((-mass, ~asked))[:keep]
    order = np.lexsort((-mass, ~np.isin(np.arange(len(mass)), kept)))
    group = np.empty(len(order), int)
    group[order] = np.minimum(np.arange(len(order)), keep)
    member = np.eye(int(group.max(initial=0)) + 1)[group]
    shown = [names[k] for k in order[:keep]]
    return member.T @ flow @ member, shown + [rest] * (len(order) > keep)


def flow_figure(
    flow: NDArray[np.floating],
    names: Sequence[str],
    *,
    ribbons: int = 20,
    highlight: tuple[str, str] | None = None,
    titles: tuple[str, str] = ("interest now", "interest next"),
) -> Figure:
    """Draw interests now on the left, next on the right, and ribbons as wide as the mass that goes.

    Ribbons that stay with their interest are grey, those that change it blue, and one may be orange.

    Args:
        flow: mass that goes from each interest to each, `(K, K)`, of any sum.
        names: of the K interests.
        ribbons: how many are drawn: those with most mass. Bars have the height of all mass, drawn or not.
        highlight: names of the interests, from and to, of the ribbon that is orange; drawn in any case.
        titles: above the two columns.

    Returns:
        A figure of the width of a phone.

    Raises:
        ValueError: an interest of `highlight` is not among the names.
    """
    mass = np.asarray(flow, np.float64) / np.sum(flow)
    chosen = np.zeros(mass.size, bool)
    chosen[np.argsort(-mass, axis=None, kind="stable")[:ribbons]] = True
    drawn = chosen.reshape(mass.shape)
    marked = None if highlight is None else (names.index(highlight[0]), names.index(highlight[1]))
    if marked is not None:
        drawn[marked] = True
    left, right = _tops(mass.sum(axis=1)), _tops(mass.sum(axis=0))
    # Within a bar the ribbons lie in the order of the other column, so that few of them cross.
    leave = left[:, None] + np.cumsum(mass, axis=1) - mass
    arrive = right[None, :] + np.cumsum(mass, axis=0) - mass
    figure, axis = plt.subplots(figsize=(6.0, 6.4), layout="constrained")
    for y, z in zip(*np.nonzero(drawn), strict=True):
        colour, alpha, above = (GREY, 0.45, 1) if y == z else (BLUE, 0.55, 2)
        if (y, z) == marked:
            colour, alpha, above = ORANGE, 0.95, 3
        shape = _ribbon(leave[y, z], arrive[y, z], mass[y, z])
        axis.add_patch(PathPatch(shape, facecolor=colour, alpha=alpha, linewidth=0, zorder=above))
    _column(axis, -0.03, left, mass.sum(axis=1), names, "right")
    _column(axis, 1.0, right, mass.sum(axis=0), names, "left")
    axis.set_title(titles[0], loc="left", fontsize=15)
    axis.set_title(titles[1], loc="right", fontsize=15)
    axis.set_xlim(-0.5, 1.5)
    axis.set_ylim(1 + GAP * len(names), -GAP)
    axis.set_axis_off()
    return figure


def _tops(heights: FloatArray) -> FloatArray:
    """Find where each bar of a column begins, from the top."""
    tops: FloatArray = np.cumsum(heights) - heights + GAP * np.arange(len(heights))
    return tops


def _ribbon(leave: float, arrive: float, width: float) -> Path:
    """Bend a band of one width from (0, leave) to (1, arrive), level at both ends."""
    upper = [(0.0, leave), (0.5, leave), (0.5, arrive), (1.0, arrive)]
    lower = [(1.0, arrive + width), (0.5, arrive + width), (0.5, leave + width), (0.0, leave + width)]
    curve = [Path.CURVE4] * 3
    codes = [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY]
    return Path([*upper, *lower, upper[0]], codes)


def _column(
    axis: Axes, at: float, tops: FloatArray, heights: FloatArray, names: Sequence[str], side: str
) -> None:
    """Draw bars with their names; `side` is the edge of the name that touches the bar."""
    place = at - 0.02 if side == "right" else at + 0.05
    for top, height, name in zip(tops, heights, names, strict=True):
        axis.add_patch(Rectangle((at, top), 0.03, height, facecolor="black", linewidth=0, zorder=4))
        axis.text(place, top + height / 2, name, ha=side, va="center", fontsize=14)
