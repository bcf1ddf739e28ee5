"""The library drawn as a house: a box for each room, an arrow for each import, two paths through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from imtlib.book.architecture import FIVE, Rooms, bare_arrows, rows
from imtlib.book.figures import Drawing, svg_text

WIDE, HIGH, GAP, AISLE = 142, 44, 18, 46
"""Width and height of a box, room between two boxes of a row and between two rows, in the drawing's units."""

LANE = 9
"""How far apart two arrows pass by a row."""

FRAME = 10
"""How far the frame around the five steps stands off."""

FRAMED = 5 * (WIDE + GAP) - GAP + 2 * FRAME
"""Width of that frame."""

MARKS = (("#c2410c", 9), ("#1f5fa8", 2))
"""Colour and roundness of the numbers that a path leaves."""


@dataclass(frozen=True)
class Box:
    """Where something stands: its middle, its row, and half its width."""

    x: float
    row: int
    half: float = WIDE / 2

    @property
    def top(self) -> float:
        """The upper edge."""
        return 12 + self.row * (HIGH + AISLE)


def floor_plan(found: Rooms, paths: Mapping[str, Sequence[str]] | None = None) -> Drawing:
    """Draw the rooms of the library, what each stands on, and the order in which something passes through.

    An arrow leads from a room to one that imports it; see `imtlib.book.architecture.bare_arrows`.

    Args:
        found: what each room imports, as `imtlib.book.architecture.rooms` gives it.
        paths: names of at most two things that pass through rooms, and the rooms in their order. The first
            leaves its numbers in orange discs, the second in blue squares.

    Returns:
        A drawing as wide as the page; on a phone it is scrolled.

    Raises:
        ValueError: more than two paths are given, or rooms import each other in a circle.
    """
    paths = {} if paths is None else paths
    if len(paths) > len(MARKS):
        raise ValueError(f"at most {len(MARKS)} paths can be told apart, not {len(paths)}")
    floors, arrows = rows(found), bare_arrows(found)
    boxes = _boxes(floors, arrows)
    parts = [_box(name, box) for name, box in boxes.items()]
    lanes: dict[tuple[int, float], str] = {}
    parts += _arrows(boxes, arrows, lanes)
    if FIVE[0] in boxes:
        parts.append(_frame(boxes[FIVE[0]]))
    for (colour, round_), path, side in zip(MARKS, paths.values(), (-1, 1), strict=False):
        parts += [_number(place, boxes[name], side, colour, round_) for place, name in enumerate(path, 1)]
    edges = [FRAMED / 2, *(abs(box.x) + box.half for box in boxes.values()), *(abs(x) for _, x in lanes)]
    width = round(2 * (max(edges) + LANE))
    height = Box(0, len(floors)).top - AISLE + 4
    alt = "The rooms of the library in rows; each imports only from rows above its own. " + " ".join(
        f"Row {number}: {', '.join(row)}." for number, row in enumerate(floors, 1)
    )
    alt += "".join(f" {what} passes through {', '.join(path)}." for what, path in paths.items())
    svg = (
        f'<div style="overflow-x:auto" tabindex="0"><svg viewBox="{-width / 2:.0f} 0 {width} {height:.0f}" '
        f'role="img" aria-label="{escape(alt)}" width="100%" style="min-width:680px;max-width:{width}px;'
        f'font-family:sans-serif">{"".join(parts)}</svg></div>'
    )
    return Drawing(svg, alt)


def _boxes(floors: Sequence[Sequence[str]], arrows: set[tuple[str, str]]) -> dict[str, Box]:
    """Place every room: rows are centred, and a room stands near those that it imports."""
    boxes: dict[str, Box] = {}
    for number, row in enumerate(floors):

        def above(name: str) -> float:
            over = [boxes[start].x for start, end in arrows if end == name and start in boxes]
            return sum(over) / len(over) if over else 0.0

        order = list(FIVE) if FIVE[0] in row else sorted(row, key=lambda name: (above(name), name))
        for place, name in enumerate(order):
            boxes[name] = Box((place - (len(order) - 1) / 2) * (WIDE + GAP), number)
    return boxes


def _arrows(
    boxes: Mapping[str, Box], arrows: set[tuple[str, str]], lanes: dict[tuple[int, float], str]
) -> list[str]:
    """Draw every arrow: down to its room, past the rows between in a free lane."""
    parts = []
    for start, end in sorted(arrows, key=lambda arrow: (boxes[arrow[1]].row - boxes[arrow[0]].row, arrow)):
        one, other = boxes[start], boxes[end]
        x, y = (0.0 if start in FIVE else one.x), one.top + HIGH + FRAME * (start in FIVE)
        line = f"M{x:.0f} {y:.0f}"
        to = 0.0 if end in FIVE else other.x
        for row in range(one.row + 1, other.row):
            wish = x + (to - x) / (other.row - row + 1)
            passed = {name: box for name, box in boxes.items() if box.row == row}
            standing = [Box(0, row, FRAMED / 2)] if FIVE[0] in passed else list(passed.values())
            lane = _lane(wish, standing, start, lanes)
            line += _bend(x, y, lane, Box(0, row).top) + f" v{HIGH}"
            x, y = lane, Box(0, row).top + HIGH
        line += _bend(x, y, to, other.top - 5 - FRAME * (end in FIVE)) + " m-5 -6 l5 6 l5 -6"
        parts.append(f'<path d="{line}" fill="none" stroke="currentColor" stroke-width="1.5" opacity="0.7"/>')
    return parts


def _lane(wish: float, row: Sequence[Box], start: str, lanes: dict[tuple[int, float], str]) -> float:
    """Find the place nearest to the one wished for that no box and no arrow from elsewhere takes.

    Arrows from one room stay together as long as they can.
    """

    def detour(x: float) -> float:
        return abs(x - wish) - WIDE * (lanes.get((row[0].row, x)) == start)

    span = 4 * (WIDE + GAP)
    for x in sorted(range(-span // LANE * LANE, span, LANE), key=detour):
        clear = all(abs(x - box.x) >= box.half + LANE - 1 for box in row)
        if clear and lanes.setdefault((row[0].row, x), start) == start:
            return float(x)
    raise ValueError(f"no arrow gets past row {row[0].row}")


def _bend(x: float, y: float, to: float, down: float) -> str:
    middle = (y + down) / 2
    return f" C{x:.0f} {middle:.0f} {to:.0f} {middle:.0f} {to:.0f} {down:.0f}"


def _box(name: str, box: Box) -> str:
    step = name in FIVE
    return (
        f'<rect x="{box.x - box.half:.0f}" y="{box.top:.0f}" width="{WIDE}" height="{HIGH}" rx="9" '
        f'fill="none" stroke="currentColor" stroke-width="{2.5 if step else 1.5}"/>'
        + svg_text(box.x, box.top + HIGH / 2 + 6, name, "currentColor", 16, "bold" if step else "normal")
    )


def _frame(first: Box) -> str:
    return (
        f'<rect x="{first.x - first.half - FRAME:.0f}" y="{first.top - FRAME:.0f}" width="{FRAMED}" '
        f'height="{HIGH + 2 * FRAME}" rx="14" fill="none" stroke="currentColor" stroke-dasharray="5 4"/>'
    )


def _number(place: int, box: Box, side: int, colour: str, round_: int) -> str:
    x = box.x + side * (box.half - 12)
    return (
        f'<rect x="{x - 9:.0f}" y="{box.top - 9:.0f}" width="18" height="18" rx="{round_}" fill="{colour}"/>'
        + svg_text(x, box.top + 5, str(place), "#ffffff", 13, "bold")
    )
