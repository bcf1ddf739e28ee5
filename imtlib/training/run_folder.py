"""The folder of a run: its epochs, the record that names them, and what a run that goes on must share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imtlib.data.atomic import whole
from imtlib.errors import ModelFileError

CHOSEN_BY = "NDCG@10"
"""The figure on the validation requests that tells the best epoch."""


class RunFolder:
    """The last and the best epoch of a run, and the figures of all.

    Args:
        path: of the folder; it is made with the first epoch.
        settings: what a run must have in common with the one it goes on from; as JSON can hold it.

    Attributes:
        history: a row of figures for each epoch.
        seconds: how long each epoch took.

    Raises:
        ModelFileError: the folder holds a run with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self.settings = path, json.loads(json.dumps(settings))
        self.history: list[dict[str, float]] = []
        self.seconds: list[float] = []
        record = path / "run.json"
        if not record.exists():
            return
        kept = json.loads(record.read_text("utf8"))
        ours, theirs = self.settings, kept["settings"]
        if ours != theirs:
            other = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
            raise ModelFileError(f"{record} holds a run with other {', '.join(other)}: choose another folder")
        self.history, self.seconds = kept["history"], kept["seconds"]

    @property
    def best(self) -> int:
        """The epoch, counted from 1, with the best validation figure; the first of equals."""
        return 1 + max(range(len(self.history)), key=lambda e: (self.history[e][CHOSEN_BY], -e))

    def finished(self, epochs: int, patience: int | None) -> bool:
        """Whether all epochs are done, or the best lies `patience` epochs back."""
        done = len(self.history)
        return done >= epochs or (patience is not None and done > 0 and done - self.best >= patience)

    def keep(
        self,
        row: dict[str, float],
        seconds: float,
        weights: Sequence[keras.Variable],
        optimizer: Sequence[keras.Variable],
    ) -> None:
        """Keep an epoch that has ended, and let go of those that are neither the last nor the best.

        Args:
            row: its figures.
            seconds: how long it took.
            weights, optimizer: the variables of the model and of its optimizer.
        """
        self.history.append(row)
        self.seconds.append(seconds)
        self.path.mkdir(parents=True, exist_ok=True)
        last = len(self.history)
        # Not as Keras saves weights: that folds adapters into the matrices beside them, and cannot go on.
        for part, variables in (("weights", weights), ("optimizer", optimizer)):
            values: dict[str, Any] = {str(place): np.asarray(value) for place, value in enumerate(variables)}
            np.savez(self._file(last, part), **values)
        # The record comes last and atomically: a run that is killed goes on from the epoch before.
        with whole(self.path / "run.json") as fresh:
            record = {"settings": self.settings, "history": self.history, "seconds": self.seconds}
            fresh.write_text(json.dumps(record, indent=1), "utf8")
        for old in self.path.glob("epoch-*"):
            if int(old.name.split(".")[0].split("-")[1]) not in (last, self.best):
                old.unlink()

    def restore(self, epoch: int, part: str, variables: Sequence[keras.Variable]) -> None:
        """Give variables the values that they had after an epoch.

        Args:
            epoch: the last or the best, counted from 1.
            part: `"weights"` or `"optimizer"`.
            variables: in the order in which they were kept.
        """
        with np.load(self._file(epoch, part)) as values:
            for place, variable in enumerate(variables):
                variable.assign(values[str(place)])

    def _file(self, epoch: int, part: str) -> Path:
        return self.path / f"epoch-{epoch}.{part}.npz"
