"""A mirror: a folder of the reader's own that is asked for data before the network is.

The environment variable IMTLIB_MIRROR names it. It holds one folder for each data set, with the name under
which `load_dataset` knows it, and in it the files, or an archive of them, as they are published. They are
known by their SHA-256, so their names do not matter.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from imtlib.errors import DownloadError

FIX = "Fix or unset the environment variable IMTLIB_MIRROR."


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mirror_folder(dataset: str) -> Path | None:
    """Find a data set in the mirror.

    Args:
        dataset: name of its folder.

    Returns:
        The folder; None if there is no mirror, or nothing of this data set in it.

    Raises:
        DownloadError: IMTLIB_MIRROR names no folder.
    """
    chosen = os.environ.get("IMTLIB_MIRROR")
    if not chosen:
        return None
    mirror = Path(chosen).expanduser()
    if not mirror.is_dir():
        raise DownloadError(f"IMTLIB_MIRROR names {chosen!r}, which is no folder. {FIX}")
    return mirror / dataset if (mirror / dataset).is_dir() else None


def by_hash(folder: Path) -> dict[str, Path]:
    """List the files of a folder by their SHA-256.

    Args:
        folder: files in folders inside it are not looked at.

    Raises:
        DownloadError: the folder, or a file in it, cannot be read.
    """
    try:
        return {sha256(path): path for path in sorted(folder.iterdir()) if path.is_file()}
    except OSError as error:
        raise DownloadError(f"the mirror {folder} cannot be read ({error}). {FIX}") from error


def chosen_files(folder: Path, held: Mapping[str, Path], wanted: Mapping[str, str]) -> dict[str, Path]:
    """Choose the wanted files among those of a folder.

    Args:
        folder: in the mirror.
        held: its files, as `by_hash` gives them.
        wanted: SHA-256 of each file, by name.

    Returns:
        Where each file is, by the name under which it is wanted.

    Raises:
        DownloadError: one is not there. The message names what was expected and what was found.
    """
    absent = [f"  {name}: expected SHA-256 {right}" for name, right in wanted.items() if right not in held]
    if absent:
        found = [f"  {path.name}: found SHA-256 {digest}" for digest, path in held.items()]
        lines = [f"the mirror {folder} lacks these files:", *absent, "It holds:", *(found or ["  nothing"])]
        fix = f"Put the right files there, under any name. {FIX}"
        raise DownloadError("\n".join([*lines, fix]))
    return {name: held[right] for name, right in wanted.items()}
