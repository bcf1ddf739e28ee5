"""The errors that the library raises on bad input. Each message names the place and the fix."""


class LogError(ValueError):
    """A log, a table or a split that cannot be used as it stands."""


class UnknownNameError(ValueError):
    """An item, user, scenario, behaviour or feature value that the catalogue does not hold."""


class DownloadError(OSError):
    """A file that could not be fetched, verified or kept in the cache."""


class ModelFileError(ValueError):
    """A saved model that is corrupt, of another version, or made for another catalogue."""
