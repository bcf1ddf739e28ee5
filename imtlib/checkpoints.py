"""Saved models: a file of one's own, and the trained weights that come with the book."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from imtlib.config import FORMAT, ModelConfig, settings_of
from imtlib.data.log import BehaviourLog
from imtlib.datasets.registry import load_dataset
from imtlib.errors import ModelFileError
from imtlib.model import InterestMigrationModel

HERE = Path(__file__).parent
PLACES = (HERE.parent / "data" / "pretrained", HERE / "pretrained")
"""In a clone, and in an installed wheel."""


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


def load_pretrained(
    name: str, log: BehaviourLog | None = None, folder: str | os.PathLike[str] | None = None
) -> InterestMigrationModel:
    """Load the trained model of a data set: its shipped weights, with the catalogue of its log.

    Args:
        name: such as `"movielens-1m"`, as `load_dataset` has it; or that of another model, whose card names
            the data set.
        log: the data set, if it is at hand; by default it is loaded for its catalogue.
        folder: that holds `name.json` and `name.weights.h5`; by default where the library keeps them.

    Returns:
        The model, ready to score and recommend.

    Raises:
        ModelFileError: there are no such weights, or they are of another format, or were made for another
            catalogue than the log has.
        DownloadError: the data could not be fetched.
    """
    place = _find(name, PLACES if folder is None else (Path(folder),))
    card = json.loads((place / f"{name}.json").read_text("utf8"))
    settings = settings_of({"format": card["format"], **card["settings"]}, f"{place / name}.json")
    dataset = card.get("dataset", name)
    catalogue = (load_dataset(dataset) if log is None else log).catalogue
    if catalogue.fingerprint != card["fingerprint"]:
        fix = "delete the cached data and fetch it again" if log is None else f"give that of {dataset!r}"
        raise ModelFileError(
            f"the weights of {name} were made for the catalogue {card['fingerprint'][:12]}…, the log has "
            f"{catalogue.fingerprint[:12]}…: {fix}"
        )
    model = InterestMigrationModel(catalogue, config=ModelConfig(**settings))
    weights = place / f"{name}.weights.h5"
    try:
        model.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        raise ModelFileError(
            f"{weights} cannot be read: {str(error).splitlines()[0]}; restore the file"
        ) from error
    return model


def keep_pretrained(
    model: InterestMigrationModel, name: str, folder: str | os.PathLike[str], about: dict[str, Any]
) -> None:
    """Write what `load_pretrained` reads: settings, fingerprint and weights; no item is named in it.

    Args:
        model: trained.
        name: of the data set; or another, if `about` holds that of the data set as `dataset`.
        folder: to write to; it is made if need be.
        about: what a reader should know: the command, the seed, the figures, the terms of use.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    settings = asdict(model.config)
    card = {"format": FORMAT, "fingerprint": model.catalogue.fingerprint, "settings": settings, **about}
    with tempfile.TemporaryDirectory(dir=place) as fresh:
        # A fresh model has no optimizer: its state is two thirds of the file, and of no use here.
        bare = InterestMigrationModel.from_config(model.get_config())
        bare.set_weights(model.get_weights())
        bare.save_weights(Path(fresh) / f"{name}.weights.h5")
        (Path(fresh) / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n", "utf8")
        # The card comes last: where it is, its weights are.
        for file in (f"{name}.weights.h5", f"{name}.json"):
            os.replace(Path(fresh) / file, place / file)


def _find(name: str, places: tuple[Path, ...]) -> Path:
    for place in places:
        if (place / f"{name}.json").exists():
            return place
    known = sorted({file.stem for place in places if place.exists() for file in place.glob("*.json")})
    raise ModelFileError(f"no trained weights for {name!r}: there are {known or 'none'} in {places[0]}")
