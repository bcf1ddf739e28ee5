"""Reading a saved model back, in a fresh process and with nothing else."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import keras

from imtlib.errors import ModelFileError
from imtlib.model import InterestMigrationModel


def load_model(path: str | os.PathLike[str]) -> InterestMigrationModel:
    """Load what `InterestMigrationModel.save` wrote: weights, settings and catalogue; no pickle is read.

    Args:
        path: a `.keras` file.

    Returns:
        The model; its scores are those of the one that was saved.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file is corrupt, of another version, or holds another kind of model.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no model at {path}: save one with model.save({str(path)!r})")
    try:
        model = keras.saving.load_model(path, compile=False)
    except ModelFileError:
        raise
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ModelFileError(
            f"{path} is not a model that can be read: {str(error).splitlines()[0]}. It may be damaged, or of "
            f"another version; save it again with model.save()."
        ) from error
    if not isinstance(model, InterestMigrationModel):
        raise ModelFileError(f"{path} holds a {type(model).__name__}, not an InterestMigrationModel")
    return model
