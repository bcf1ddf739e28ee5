"""Write files atomically: they are there whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file atomically: it appears at `path` when the block ends without an error.

    What stood there stays until then, and an error leaves nothing behind.

    Args:
        path: of the file.

    Yields:
        The path to write to, beside `path` and with the same ending.
    """
    fresh = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield fresh
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
