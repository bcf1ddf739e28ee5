"""Configurations of a model and of its training: typed, frozen, and checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from imtlib.errors import ModelFileError
from imtlib.layers.ops import MAX_SCAN_LEVELS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FORMAT = 2
"""Of saved models; it changes when an older file would be misread."""
RENAMED = {1: {"ahead": "target_horizon", "points_weight": "interest_loss_weight"}}
"""By an older format that can still be read, what its settings are called today."""

Cell = Literal["gru", "lstm"]
Attention = Literal["constant", "state", "self", "none"]
Precision = Literal["float32", "bfloat16"]
Sharing = Literal["none", "gate", "star"]
Keep = Literal["best", "last"]


@dataclass(frozen=True)
class Bounds:
    """Bounds of a number: from `low` to below `high`, or to `high` itself if the interval is `closed`."""

    low: float
    high: float = math.inf
    closed: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low <= value < self.high or (self.closed and value == self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"at least {self.low:g}"
        return f"from {self.low:g} to {'' if self.closed else 'below '}{self.high:,g}"


Count = Annotated[int, Bounds(1)]
Length = Annotated[int, Bounds(1, 2**MAX_SCAN_LEVELS, closed=True)]
Weight = Annotated[float, Bounds(0)]
Share = Annotated[float, Bounds(0, 1, closed=True)]
PartialShare = Annotated[float, Bounds(0, 1)]

_Config = TypeVar("_Config", bound="DataclassInstance")
KINDS = {bool: "True or False", int: "a whole number", float: "a number"}
"""Types in words, for messages."""


def check(config: Any) -> None:
    """Check every field of a dataclass against its annotation.

    Args:
        config: its fields are annotated with `Literal` choices, a type, or a number with its `Bounds`; any of
            these may be `None` besides.

    Raises:
        TypeError: a value is of another type.
        ValueError: a value is none of the choices, or out of bounds.
    """
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        _check_value(name, getattr(config, name), hint)


def _check_value(name: str, value: Any, hint: Any) -> None:
    kinds = get_args(hint)
    if NoneType in kinds:
        if value is not None:
            _check_value(name, value, kinds[0])
    elif get_origin(hint) is Literal:
        if value not in kinds:
            raise ValueError(f"unknown {name} {value!r}: choose one of {sorted(kinds)}")
    else:
        kind, bounds = kinds or (hint, None)
        # A whole number will do for a float; a bool will do for neither, though Python has it so.
        right = type(value) in (int, float) if kind is float else isinstance(value, kind)
        if not right or (type(value) is bool and kind is int):
            wanted = KINDS.get(kind, kind.__name__)
            raise TypeError(f"{name}={value!r} is a {type(value).__name__}, and must be {wanted}")
        if bounds is not None and value not in bounds:
            raise ValueError(f"{name}={value} must be {bounds}")


def configured(kind: type[_Config], config: _Config | None, overrides: Mapping[str, Any]) -> _Config:
    """Take a configuration, or else the defaults, with some fields in place of its own.

    Args:
        kind: of the configuration.
        config: the configuration; `None` for the defaults.
        overrides: fields by name.

    Raises:
        TypeError: the configuration is of another kind, or it has no such field.
        ValueError: a value is none of the choices, or out of range.
    """
    if config is not None and not isinstance(config, kind):
        raise TypeError(f"config is a {type(config).__name__}, and must be a {kind.__name__}")
    known = [field.name for field in fields(kind)]
    for name in overrides:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise TypeError(f"{kind.__name__} has no field {name!r}: {hint}")
    return replace(kind() if config is None else config, **overrides)


def check_heads(units: int, heads: int) -> None:
    """Check that every head gets a whole width.

    Raises:
        ValueError: `heads` does not divide `units`.
    """
    if units % heads:
        raise ValueError(f"heads={heads} does not divide units={units}: each head needs a whole width")


@dataclass(frozen=True)
class ModelConfig:
    """Arguments of `imtlib.model.InterestMigrationModel` beside its catalogue, with their defaults.

    Attributes:
        units: width d of embeddings, states and contexts.
        layers: recurrent blocks of the encoder.
        heads: of the attention; must divide `units`.
        cell: `"gru"` or `"lstm"`.
        attention: `"constant"`, `"state"`, `"self"` or `"none"`: see `imtlib.attention`.
        rank: of the part of the transition matrix that depends on the context.
        matrix_from_state: whether that part reads $h_T$ beside $c_T$.
        successors: whether the query adds a vector of the last item, apart from its embedding: what tends to
            follow it (as FPMC has it: Rendle et al., WWW 2010).
        dropout: share dropped while training, from 0 to below 1.
        window: m, how many coming events the interest points are about.
        target_horizon: how many coming events the items' loss is about; the k-th of them counts 1 / k, if it
            takes place in the scenario that is asked about. Worth more than 1 where items are seldom targets.
        interest_loss_weight: of the interest points' loss beside that of the next item; 0 leaves them
            untrained.
        max_length: how many of a history's last events are read, from 1 to 1,024.
        use_profile: whether the user's given features make the first state.
        use_request_time: whether the time since the last event, known when a request is made, is an input.
        through_interests: items by way of interests; `False` is the direct softmax over items that it is
            measured against.
        precision: of the products over the catalogue while the model learns: `"float32"`; or `"bfloat16"`,
            which is a little quicker on some processors and slower on others. Scores are float32 in any
            case.
        sharing: what belongs to one scenario in the state at a request: `"none"`, `"gate"` or `"star"`, see
            `imtlib.layers.scenario_sharing`. The transition matrix has a part of each scenario in any case.

    Raises:
        TypeError: a value is of another type.
        ValueError: a value is none of the choices or out of range, or `heads` does not divide `units`.
    """

    units: Count = 64
    layers: Count = 1
    heads: Count = 4
    cell: Cell = "gru"
    attention: Attention = "constant"
    rank: Count = 8
    matrix_from_state: bool = False
    successors: bool = False
    dropout: PartialShare = 0.2
    window: Count = 5
    target_horizon: Count = 1
    interest_loss_weight: Weight = 1.0
    max_length: Length = 200
    use_profile: bool = False
    use_request_time: bool = False
    through_interests: bool = True
    precision: Precision = "float32"
    sharing: Sharing = "none"

    def __post_init__(self) -> None:
        check(self)
        if self.attention != "none":
            check_heads(self.units, self.heads)


@dataclass(frozen=True)
class Augmentation:
    """How the windows that training reads are changed, anew in every epoch (`imtlib.training.augmentation`).

    Attributes:
        leave_out: share of the events that are left out; what came after them is the next event that stayed.
        substitute: share of the events whose item is replaced by one drawn by popularity. The event stays a
            target as it was.
        reorder: share of the histories in which some neighbours change places. What such a run would give
            away, the items within it, is not learnt from.
        mask: share of the events whose item is hidden, `imtlib.data.inputs.HIDDEN` in place of its code. The
            event stays a target as it was.

    Raises:
        TypeError: a share is not a number.
        ValueError: a share is not between 0 and 1, or `leave_out` is 1.
    """

    leave_out: PartialShare = 0.0
    substitute: Share = 0.0
    reorder: Share = 0.0
    mask: Share = 0.0

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class TrainingConfig:
    """Arguments of `imtlib.training.trainer.fit` that decide what is learnt, with their defaults.

    Attributes:
        epochs: passes, at most; in each, one window of every user.
        batch: users a step.
        window_length: events of a user that are learnt from in one epoch, at most: a window at a random
            place. Shorter windows of more users make quicker steps; scoring reads `max_length` events.
        learning_rate: the highest rate of AdamW.
        weight_decay: of AdamW; biases, norms and scores of single items are left out.
        patience: epochs without a better validation figure before it stops. By default it never does: the
            rate falls to zero, and the last epochs gain the most.
        max_validation_requests: on how many validation requests, at most, each epoch is measured; drawn by
            the seed. A thousand are too few to tell one epoch from the next.
        negatives: 0 for the softmax over the whole catalogue at every position; or how many items to draw for
            each step, from which the softmax is estimated (`imtlib.losses.sampled_softmax`). By default the
            whole catalogue where it is small enough, see `imtlib.training.trainer.WHOLE`.
        augmentation: how the windows are changed; by default not at all.
        modality_dropout: share of the modalities of items that is hidden at each step, from 0 to below 1
            (`imtlib.training.modality_dropout`), for a model that was made with several.
        bucket_by_length: whether users of like length share a batch, so that little is padding; or any users
            do, and each batch is more like the whole.
        keep: whose weights the model has in the end: those of the `"best"` epoch by the validation figure, or
            of the `"last"`, where no small validation set can choose wrongly.
        seen: whether items of the history are ranked too when an epoch is measured, as where things are
            bought again; see `imtlib.evaluation.ranking.evaluate`.
        seed: of windows, order, negatives and dropout. The weights' own first values come from
            `keras.utils.set_random_seed`, called before the model is made.

    Raises:
        TypeError: a value is of another type.
        ValueError: a value is none of the choices or out of range.
    """

    epochs: Count = 20
    batch: Count = 64
    window_length: Count = 64
    learning_rate: Weight = 3e-3
    weight_decay: Weight = 0.01
    patience: Count | None = None
    max_validation_requests: Count = 10_000
    negatives: Annotated[int, Bounds(0)] | None = None
    augmentation: Augmentation | None = None
    modality_dropout: PartialShare = 0.0
    bucket_by_length: bool = True
    keep: Keep = "best"
    seen: bool = False
    seed: Annotated[int, Bounds(0)] = 0

    def __post_init__(self) -> None:
        check(self)


def settings_of(saved: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Read the settings of a saved model, of this format or an older one.

    Args:
        saved: the settings by name, and their `format`.
        source: what holds them, for the message.

    Returns:
        The settings by the names of today, without `format`.

    Raises:
        ModelFileError: the format is unknown.
    """
    settings = dict(saved)
    found = settings.pop("format", None)
    if found != FORMAT and found not in RENAMED:
        raise ModelFileError(
            f"{source} has format {found}, this version reads {FORMAT}: load it with the version that saved "
            f"it, or train it again"
        )
    names = RENAMED.get(found, {})
    return {names.get(name, name): value for name, value in settings.items()}
