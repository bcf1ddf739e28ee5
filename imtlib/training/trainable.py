"""What can be trained: what `imtlib.training.trainer.fit` asks of a model, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import keras

from imtlib.evaluation.ranking import Scorer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Hideable(Protocol):
    """Items that are known by several modalities, some of which can be hidden for a step."""

    @property
    def present(self) -> Any:
        """Which item has which modality, zeros and ones `(N, M)`."""

    def show(self, which: Any) -> None:
        """Show some modalities of some items, bool `(N, M)`, and hide the rest."""

    def fingerprint(self) -> str:
        """Digest of what is known of the items: equal exactly when it is the same."""


@runtime_checkable
class Trainable(Scorer, Protocol):
    """A Keras model with a loss of its own, that scores histories and says what its training must mind."""

    compile: Callable[..., None]
    fit: Callable[..., Any]
    weights: list[keras.Variable]
    trainable_variables: list[keras.Variable]

    @property
    def config(self) -> DataclassInstance:
        """What was chosen about the model; a run is taken up by an equal one alone."""

    @property
    def max_length(self) -> int:
        """How many of a history's last events are read when it is scored."""

    @property
    def learns_positions(self) -> bool:
        """Whether each position has weights of its own, so that windows must be as long as what is scored."""

    @property
    def fused(self) -> Hideable | None:
        """What of the items may be hidden at a step; none if they are known by their ids alone."""
