"""Parsed logs, kept beside the files of their data sets, so that a text is parsed once."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from filelock import FileLock

from imtlib.data.atomic import whole
from imtlib.data.catalogue import Catalogue
from imtlib.data.log import BehaviourLog
from imtlib.datasets.download import Download, fetch

COPY = "parsed.npz"
"""The copy in the folder of a data set: its key, the SHA-256 of the rest, and the rest, an npz file."""
COLUMNS = ("starts", "item", "scenario", "behaviour", "time")
FRAMES = ("item_features", "user_features")


def parsed_once(wanted: Download, parse: Callable[[Path], BehaviourLog]) -> BehaviourLog:
    """Load a data set from its parsed copy, or fetch, parse and keep it.

    The copy counts only if it is whole and was made from these files by this code and these libraries. Where
    the cache cannot be written, the files are parsed each time.

    Args:
        wanted: the files.
        parse: makes the log from the folder that holds them.

    Returns:
        The log, equal in every byte to what `parse` gives.

    Raises:
        DownloadError: the files are not in the cache and cannot be fetched.
    """
    folder = fetch(wanted)
    path, key = folder / COPY, _key(wanted.files)
    packed = _read(path, key)
    if packed is not None:
        return unpack(packed)
    log = parse(folder)
    try:
        with FileLock(folder / ".lock"), whole(path) as fresh:
            packed = pack(log)
            fresh.write_bytes(key + hashlib.sha256(packed).digest() + packed)
    except OSError:
        pass  # the cache cannot be written, or another run has just written the same
    return log


def _read(path: Path, key: bytes) -> bytes | None:
    """The packed log of a copy; None if there is no such copy, or another or a damaged one."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head, packed = content[:64], content[64:]
    return packed if head == key + hashlib.sha256(packed).digest() else None


def _key(files: Mapping[str, str]) -> bytes:
    """What a copy depends on, as one SHA-256: the files, by name and SHA-256, and what parses them."""
    return hashlib.sha256(json.dumps([sorted(files.items()), _parser_version()]).encode()).digest()


@cache
def _parser_version() -> list[str]:
    """The source of all that reads files, and the libraries that decide on types: no number to forget."""
    rooms = Path(__file__).parent, Path(__file__).parents[1] / "data"
    modules = [path for room in rooms for path in sorted(room.glob("*.py"))]
    source = hashlib.sha256(b"".join(path.read_bytes() for path in modules))
    return [source.hexdigest(), np.__version__, pd.__version__, pyarrow.__version__]


def pack(log: BehaviourLog) -> bytes:
    """Pack a log into the bytes of an npz file: arrays, names as JSON, tables of features as Parquet."""
    names = {"catalogue": log.catalogue.pack(), "users": log.users, "notes": log.notes}
    texts = {"names": json.dumps(names).encode()}
    texts |= {name: getattr(log, name).to_parquet() for name in FRAMES}
    arrays: dict[str, Any] = {name: getattr(log, name) for name in COLUMNS}
    arrays |= {name: np.frombuffer(text, np.uint8) for name, text in texts.items()}
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def unpack(packed: bytes) -> BehaviourLog:
    """Read the log that `pack` packed."""
    with np.load(io.BytesIO(packed)) as held:
        names = json.loads(held["names"].tobytes())
        parts: dict[str, Any] = {name: held[name] for name in COLUMNS}
        parts |= {name: _frame(held[name].tobytes()) for name in FRAMES}
        return BehaviourLog(
            catalogue=Catalogue.unpack(names["catalogue"]),
            users=tuple(names["users"]),
            **parts,
            notes=tuple(names["notes"]),
        )


def _frame(parquet: bytes) -> pd.DataFrame:
    frame = pd.read_parquet(io.BytesIO(parquet))
    # Names of columns are text; Parquet makes numbers of the range that pandas has where there is no column.
    return frame if frame.columns.dtype != np.int64 else pd.DataFrame(index=frame.index)
