"""A quiet start: TensorFlow says what processors and libraries it found only to those who ask."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

ASKED = "TF_CPP_MIN_LOG_LEVEL"
"""The environment variable of TensorFlow's own logging: whoever sets it wants to decide for themselves."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep standard error silent while something is loaded; an error brings back what was held.

    The lines come from C++, before any setting is read, so the file descriptor itself is turned aside.
    """
    if ASKED in os.environ:
        yield
        return
    # TensorFlow reads it once, as it is loaded, for all that comes later. It is taken back, so that a process
    # that this one starts does not take it for its user's wish.
    os.environ[ASKED] = "2"
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            aside.seek(0)
            os.write(2, aside.read())
            raise
        finally:
            del os.environ[ASKED]
            os.dup2(kept, 2)
            os.close(kept)
