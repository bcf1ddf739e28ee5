"""The errors that the library raises on bad input. Each message names the place and the fix."""

from __future__ import annotations


class LogError(ValueError):
    """A log, a table or a split that cannot be used as it stands."""


class UnknownNameError(ValueError):
    """An item, user, scenario, behaviour or feature value that the catalogue does not hold."""


class DownloadError(OSError):
    """A file that could not be fetched, verified or kept in the cache."""


class ModelFileError(ValueError):
    """A saved model that is corrupt, of another version, or made for another catalogue."""


def require_kind(value: object, kind: type, fix: str) -> None:
    """Refuse an argument of another kind, before anything is done with it.

    Args:
        value: what was given.
        kind: what it must be.
        fix: what to give instead, as a clause.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, kind):
        return
    if isinstance(value, tuple) and any(isinstance(part, kind) for part in value):
        fix = "simulate() gives the log and its truth: log, truth = imtlib.simulate()"
    raise TypeError(f"a {type(value).__name__} is no {kind.__name__}: {fix}")
