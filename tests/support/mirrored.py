"""The real files that may not be passed on, from a mirror if there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imtlib.data.log import BehaviourLog
from imtlib.datasets.registry import load_dataset

BESIDE = Path(__file__).parents[3] / "shared" / "data"


def load_mirrored(name: str, cache: Path) -> BehaviourLog:
    """A data set by name, from the mirror into an empty cache; the test is skipped if there is none."""
    mirror = Path(os.environ.get("IMTLIB_MIRROR") or BESIDE)
    if not (mirror / name).is_dir():
        pytest.skip(f"{mirror} holds no folder {name}: name a mirror of the data in IMTLIB_MIRROR")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMTLIB_MIRROR", str(mirror))
        patch.setenv("IMTLIB_CACHE", str(cache))
        return load_dataset(name)
