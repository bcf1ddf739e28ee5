"""What may still change in a model that was carried over: all, heads, norms and biases, or thin additions.

Places of names that the source did not know may change in any case, and are counted apart.

LoRA adds to a frozen matrix the product of two thin ones, $W + A B$, with $A$ `(n, r)` and $B$ `(r, m)`, of
which $B$ begins at zero: at first nothing is changed, and weight decay pulls back to the source, not to zero
(Hu et al., ICLR 2022). Keras has it for dense and embedding layers, and none for recurrent ones. To train
nothing but biases and norms is BitFit (Ben Zaken et al., ACL 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from imtlib.layers.backend import all_layers, stored_matrix
from imtlib.model import InterestMigrationModel
from imtlib.transfer.remapping import Carried
from imtlib.types import Tensor

HEADS = ("interest_points", "item_query", "current_interest", "migration_matrix", "sharing")
"""Attributes of the model: the steps after attention."""
SMALL = ("bias", "own_bias", "item_bias", "opening_bias", "gamma", "beta")
"""Names of the weights that biases and norms consist of; one for each item among them."""
ADAPTATIONS = ("all", "heads", "norms", "lora")


@dataclass(frozen=True)
class Counts:
    """How many numbers a model has, and how many of them may change.

    Attributes:
        all: of the model, adapters included.
        trained: that may change, apart from those of new names.
        new: of names that the source did not know.
    """

    all: int
    trained: int
    new: int

    @property
    def share(self) -> float:
        """Trained, apart from new names, as a share of what is not of new names."""
        return self.trained / (self.all - self.new)


class _OnlyThere(keras.constraints.Constraint):
    """Lets a weight change at some places alone: after each step the others are put back."""

    def __init__(self, value: NDArray[np.float32], where: NDArray[np.bool_]) -> None:
        self.value, self.where = ops.convert_to_tensor(value), ops.convert_to_tensor(where)

    def __call__(self, value: Tensor) -> Tensor:
        return ops.where(self.where, value, self.value)


def adapt(carried: Carried, how: str, rank: int = 4) -> Counts:
    """Say what may change in a model that was carried over, before it is fitted.

    Args:
        carried: as `imtlib.transfer.remapping.carry_over` gives it, not adapted before; its model is changed
            in place.
        how: `"all"`: every weight. `"heads"`: prediction, transition, what belongs to one scenario, and the
            items' biases. `"norms"`: all biases and norms. `"lora"`: those, and the product of two thin
            matrices beside each dense and embedding matrix; one no larger than the two is trained itself.
            Recurrent layers, and tables of a model with several modalities, have no such product and stay.
        rank: r, of the thin matrices.

    Returns:
        How many numbers may change.

    Raises:
        ValueError: there is no such way, the rank is not positive, or the model was adapted before.
    """
    if how not in ADAPTATIONS:
        raise ValueError(f"unknown how={how!r}: choose one of {ADAPTATIONS}")
    if rank < 1:
        raise ValueError(f"rank={rank} must be at least 1")
    model = carried.model
    given = set() if model.fused is None else {id(v) for v in model.fused.given}
    if not all(v.trainable or id(v) in given for v in (*model.embedding.weights, model.item_bias)):
        raise ValueError("the model was adapted before: carry the source over again")
    if how == "all":
        return _counts(carried)
    chosen = {id(variable) for variable in _chosen(model, how, rank)}
    new = {id(variable): where for variable, where in carried.new_rows()}
    for variable in model.weights:
        if id(variable) not in chosen:
            # What the source did not train, such as the matrix under a direct softmax, stays as it is.
            variable.trainable = variable.trainable and id(variable) in new
            if variable.trainable:
                variable.constraint = _OnlyThere(np.asarray(variable), new[id(variable)])
    return _counts(carried)


def _chosen(model: InterestMigrationModel, how: str, rank: int) -> Iterator[keras.Variable]:
    """The weights that may change everywhere; with `"lora"` the adapters are made first."""
    if how == "lora":
        yield from _low_rank(model, rank)
    if how == "heads":
        yield model.item_bias
        for name in HEADS:
            yield from getattr(model, name).trainable_weights
    else:
        yield from (variable for variable in model.trainable_weights if variable.name in SMALL)


def _low_rank(model: InterestMigrationModel, rank: int) -> Iterator[keras.Variable]:
    """Make an adapter beside every dense and embedding matrix that is larger than its adapter."""
    for layer in all_layers(model):
        if not isinstance(layer, (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Embedding)):
            continue
        matrix = stored_matrix(layer)
        if not matrix.trainable:
            continue
        if rank * sum(matrix.shape) >= matrix.numpy().size:
            yield matrix
            continue
        before = {id(variable) for variable in layer.weights}
        layer.enable_lora(rank)
        yield from (variable for variable in layer.weights if id(variable) not in before)


def _counts(carried: Carried) -> Counts:
    new = {id(variable): int(where.sum()) for variable, where in carried.new_rows()}
    whole = {id(variable): int(np.prod(variable.shape)) for variable in carried.model.weights}
    changing = [id(variable) for variable in carried.model.trainable_weights if variable.constraint is None]
    trained = sum(whole[one] - new.get(one, 0) for one in changing)
    return Counts(sum(whole.values()), trained, sum(new.values()))
