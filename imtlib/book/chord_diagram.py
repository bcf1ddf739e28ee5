"""Migration between scenarios, drawn: a wheel of interests, and a comet for each migration above chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Wedge
from matplotlib.path import Path
from numpy.typing import NDArray

from imtlib.types import FloatArray

INKS = ("#1f5fa8", "#c2410c", "#0f766e", "#6b7280", "#7c3aed")
"""One a scenario."""
SECTOR_GAP, NODE_GAP = 14.0, 1.5
"""Degrees between two scenarios, and between two interests of one."""
FULL = 0.85
"""How much of its arc the interest that sends most fills with its comets."""


def chord_figure(
    wheels: Sequence[NDArray[np.floating]],
    titles: Sequence[str],
    scenarios: Sequence[str],
    interests: Sequence[str],
    least: float = 0.0005,
) -> Figure:
    """Draw wheels on one scale: the first large and with all names, the others small below it.

    A wheel's rim holds the scenarios, each with its interests. A comet leaves the interest where it is thick
    and arrives where it is pointed; it has the colour of the scenario that it leaves.

    Args:
        wheels: of each, the mass that goes from an interest in one scenario to an interest in another,
            `(S, S, K, K)`, such as `imtlib.analysis.cross_scenario.Between.excess`; what is not positive, or
            stays in its scenario, is not drawn.
        titles: one a wheel.
        scenarios: names of the S scenarios, at most five.
        interests: names of the K interests.
        least: mass below which nothing is drawn.

    Returns:
        A figure of the width of a phone.

    Raises:
        ValueError: there are more scenarios than colours, or not one title a wheel.
    """
    if len(scenarios) > len(INKS):
        raise ValueError(f"{len(scenarios)} scenarios, but only {len(INKS)} colours: draw fewer at a time")
    if len(titles) != len(wheels):
        raise ValueError(f"{len(titles)} titles for {len(wheels)} wheels: give one each")
    apart = ~np.eye(len(scenarios), dtype=bool)[:, :, None, None]
    drawn = [np.where(apart & (wheel >= least), wheel, 0.0) for wheel in wheels]
    most = max(float(wheel.sum(axis=(1, 3)).max()) for wheel in drawn)
    below = len(wheels) - 1
    figure = plt.figure(figsize=(6.4, 6.4 + (3.4 if below else 0)), layout="constrained")
    grid = figure.add_gridspec(2 if below else 1, max(below, 1), height_ratios=[1.9, 1][: 1 + bool(below)])
    for place, (wheel, title) in enumerate(zip(drawn, titles, strict=True)):
        axis = figure.add_subplot(grid[1, place - 1] if place else grid[0, :])
        _wheel(axis, wheel / most if most else wheel, scenarios, interests if place == 0 else None)
        axis.set_title(title, fontsize=14 if place == 0 else 12)
    return figure


def comets(wheel: FloatArray) -> list[tuple[int, int, float, float, float]]:
    """Find where the comets of a wheel begin and end.

    Args:
        wheel: as `chord_figure` has it, in shares of what the interest that sends most sends, `(S, S, K, K)`.

    Returns:
        Of each comet the scenario and the interest that it leaves, the angles at which its thick end begins
        and ends, and that of its point; degrees, from the top clockwise. Those that leave an interest lie
        side by side in the order in which they arrive around the wheel, so that they do not cross at once.
    """
    places, kinds = wheel.shape[0], wheel.shape[2]
    starts, width = _nodes(places, kinds)
    middle = starts + width / 2
    found = []
    for a, y in np.ndindex(places, kinds):
        ends = np.argwhere(wheel[a, :, y] > 0)
        # As seen from the node, what lies next clockwise arrives first on its far side.
        around = [(middle[b, z] - middle[a, y]) % 360 for b, z in ends]
        at = middle[a, y] + FULL * width * (wheel[a, :, y].sum() / 2)
        for b, z in ends[np.argsort(around, kind="stable")]:
            thick = FULL * width * float(wheel[a, b, y, z])
            # Points spread a little over the arc, by where they come from.
            point = middle[b, z] + 0.6 * width * (((middle[a, y] - middle[b, z]) % 360) / 360 - 0.5) * -1
            found.append((a, y, at - thick, at, float(point)))
            at -= thick
    return found


def _nodes(places: int, kinds: int) -> tuple[FloatArray, float]:
    """Place the arc of each interest: where it begins, degrees, `(S, K)`, and how wide all are."""
    sector = 360 / places - (SECTOR_GAP if places > 1 else 0)
    width = sector / kinds - NODE_GAP
    first = 360 / places * np.arange(places)[:, None] - sector / 2
    starts: FloatArray = first + sector / kinds * np.arange(kinds) + NODE_GAP / 2
    return starts, width


def _on_rim(angle: float, radius: float) -> tuple[float, float]:
    """Place a point at an angle from the top, clockwise, degrees."""
    turn = np.deg2rad(angle)
    return float(radius * np.sin(turn)), float(radius * np.cos(turn))


def _wheel(axis: Axes, wheel: FloatArray, scenarios: Sequence[str], interests: Sequence[str] | None) -> None:
    starts, width = _nodes(len(scenarios), wheel.shape[2])
    for a, name in enumerate(scenarios):
        for y, start in enumerate(starts[a]):
            rim: dict[str, Any] = {"width": 0.06, "facecolor": INKS[a], "linewidth": 0}
            axis.add_patch(Wedge((0, 0), 1.0, 90 - start - width, 90 - start, **rim))
            if interests is not None:
                _name(axis, interests[y], start + width / 2)
        x, up = _on_rim(float(starts[a].mean() + width / 2), 1.88 if interests is not None else 1.38)
        axis.text(x, up, name, ha="center", va="center", fontsize=14, color=INKS[a], fontweight="bold")
    # The thickest last, on top.
    for a, _, begin, end, point in sorted(comets(wheel), key=lambda comet: comet[3] - comet[2]):
        axis.add_patch(PathPatch(_comet(begin, end, point), facecolor=INKS[a], alpha=0.62, linewidth=0))
    reach = 2.02 if interests is not None else 1.62
    axis.set_xlim(-reach, reach)
    axis.set_ylim(-reach, reach)
    axis.set_aspect("equal")
    axis.set_axis_off()


def _comet(begin: float, end: float, point: float) -> Path:
    """Bend a band from the rim between two angles to a point at a third, by way of the middle."""
    one, two, tip = _on_rim(begin, 0.93), _on_rim(end, 0.93), _on_rim(point, 0.93)
    # Controls at a third of the radius keep neighbours off each other and the middle readable.
    leave, arrive = _on_rim((begin + end) / 2, 0.3), _on_rim(point, 0.3)
    curve = [Path.CURVE4] * 3
    corners = [one, leave, arrive, tip, arrive, leave, two, one]
    return Path(corners, [Path.MOVETO, *curve, *curve, Path.CLOSEPOLY])


def _name(axis: Axes, name: str, angle: float) -> None:
    """Write a name on the rim, pointing outwards, never upside down."""
    x, up = _on_rim(angle, 1.05)
    right = angle % 360 < 180
    turn = 90 - angle % 360 if right else 270 - angle % 360
    side = "left" if right else "right"
    style: dict[str, Any] = {"rotation_mode": "anchor", "ha": side, "va": "center", "fontsize": 13}
    axis.text(x, up, name, rotation=turn, **style)
