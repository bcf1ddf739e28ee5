"""How the library is built, read from its code: which room imports which, and what passes through them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import imtlib
from imtlib.book.figures import STEPS

FIVE = tuple(name.lower() for name, *_ in STEPS)
EVERYWHERE = ("errors", "types")
"""Rooms that any other may import, and that import none; arrows to them would say nothing."""

Rooms = Mapping[str, frozenset[str]]


def modules(folder: Path | None = None) -> dict[str, frozenset[str]]:
    """Read which modules of the library import which.

    Args:
        folder: the library's; by default that of `imtlib` as it is installed.

    Returns:
        The modules that each module imports, both by their names within the library, such as `data.log`.
        The public face, which imports everything and is imported by nothing, is left out.

    Raises:
        FileNotFoundError: the folder holds no module.
    """
    home = Path(imtlib.__file__).parent if folder is None else folder
    files = {
        ".".join(path.relative_to(home).with_suffix("").parts): path
        for path in sorted(home.rglob("*.py"))
        if path.stem != "__init__"
    }
    if not files:
        raise FileNotFoundError(f"{home} holds no module")
    return {name: frozenset(_imported(path) & set(files) - {name}) for name, path in files.items()}


def _imported(path: Path) -> set[str]:
    """Find what a file imports of the library: modules, and names that may be modules."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("imtlib.") for name in found if name.startswith("imtlib.")}


def rooms(found: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Put modules together by room: a folder of the library, or a module that stands beside the folders.

    Args:
        found: what each module imports, as `modules` gives it.

    Returns:
        The rooms that each room imports; itself, and those that stand everywhere, are left out.
    """
    whole: dict[str, set[str]] = {}
    for name, imported in found.items():
        whole.setdefault(room(name), set()).update(map(room, imported))
    return {
        name: frozenset(used - {name, *EVERYWHERE}) for name, used in whole.items() if name not in EVERYWHERE
    }


def room(module: str) -> str:
    """Name the room that a module stands in: `data` for `data.log`, `model` for `model`."""
    return module.split(".")[0]


def rows(found: Rooms) -> list[list[str]]:
    """Put rooms into rows, so that each imports only from rows before its own.

    Each room stands as near as it can to the first row that imports it; what nothing imports stands last.
    Where a row would grow wider than that of the five steps, rooms move up that can, those first that stand
    farthest below what they import.

    Args:
        found: what each room imports.

    Returns:
        Rows, first the one that imports nothing; the five steps in their order.

    Raises:
        ValueError: the rooms import each other in a circle.
    """
    depth: dict[str, int] = {}

    def visit(name: str, below: tuple[str, ...]) -> int:
        if name in below:
            raise ValueError(f"rooms import each other in a circle: {', '.join((*below, name))}")
        if name not in depth:
            together = set(FIVE) if name in FIVE else {name}
            users = [other for other, used in found.items() if used & together and other not in together]
            depth.update(
                dict.fromkeys(together, 1 + max((visit(o, (*below, name)) for o in users), default=-1))
            )
        return depth[name]

    last = max(visit(name, ()) for name in found)
    order = sorted(found, key=lambda name: FIVE.index(name) if name in FIVE else len(FIVE))
    placed = [[name for name in order if depth[name] == last - row] for row in range(last + 1)]
    for row in range(last, 1, -1):
        above = set().union(*placed[: row - 1])
        movable = [name for name in placed[row] if name not in FIVE and found[name] <= above]
        movable.sort(
            key=lambda name: min((depth[other] for other in found[name]), default=last), reverse=True
        )
        for name in movable[: max(0, len(placed[row]) - len(FIVE))]:
            placed[row].remove(name)
            placed[row - 1].append(name)
    return placed


def bare_arrows(found: Rooms) -> set[tuple[str, str]]:
    """Leave out what a longer way says too: the arrows that are left say which room stands on which.

    Args:
        found: what each room imports, without a circle.

    Returns:
        Pairs of a room and one that imports it. The five steps count as one room, named for the first.
    """

    def whole(name: str) -> str:
        return FIVE[0] if name in FIVE else name

    users: dict[str, set[str]] = {whole(name): set() for name in found}
    for name, used in found.items():
        for other in used - {name}:
            users[whole(other)].add(whole(name))
    users = {name: after - {name} for name, after in users.items()}
    beyond: dict[str, set[str]] = {}
    for row in reversed(rows(found)):
        for name in map(whole, row):
            beyond[name] = users[name].union(*(beyond[other] for other in users[name]))
    return {
        (name, other)
        for name, after in users.items()
        for other in after
        if not any(other in beyond[third] for third in after)
    }


def passed_through(call: Callable[[], Any]) -> list[str]:
    """Run something, and note which rooms of the library it passes through.

    Args:
        call: what is run, in this thread.

    Returns:
        Rooms in the order in which each had done the first thing that was asked of it. So the room that was
        asked first, and calls the others, comes last: it gives the result back.
    """
    first: dict[str, FrameType] = {}
    done: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        # Nearly all calls are of C functions and of other libraries: these two lines must be quick.
        if event not in ("call", "return") or not frame.f_globals.get("__name__", "").startswith("imtlib."):
            return
        name = room(frame.f_globals["__name__"].removeprefix("imtlib."))
        if name in EVERYWHERE:
            return
        if event == "call":
            first.setdefault(name, frame)
        elif first.get(name) is frame and name not in done:
            done.append(name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return done
