"""What can be chosen about a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imtlib.attention import ATTENTIONS
from imtlib.encoding import CELLS
from imtlib.errors import ModelFileError
from imtlib.layers.ops import MAX_SCAN_LEVELS
from imtlib.layers.scenario_sharing import SHARINGS
from imtlib.losses.chunked_softmax import PRECISIONS

FORMAT = 2
"""Of saved models; it changes when an older file would be misread."""
RENAMED = {1: {"ahead": "target_horizon", "points_weight": "interest_loss_weight"}}
"""By an older format that can still be read, what its settings are called today."""


def settings_of(saved: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Read the settings of a saved model, of this format or an older one.

    Args:
        saved: the settings, and their `format`.
        source: what holds them, for the message.

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


@dataclass(frozen=True)
class Settings:
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
        dropout: share dropped while training.
        window: m, how many coming events the interest points are about.
        target_horizon: how many coming events the items' loss is about; the k-th of them counts 1 / k, if it
            takes place in the scenario that is asked about. Worth more than 1 where items have few lessons.
        interest_loss_weight: of the interest points' loss beside that of the next item; 0 leaves them
            unlearnt.
        max_length: how many of a history's last events are read.
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
        ValueError: a name is not one of the choices, or `max_length` or `target_horizon` is out of range.
    """

    units: int = 64
    layers: int = 1
    heads: int = 4
    cell: str = "gru"
    attention: str = "constant"
    rank: int = 8
    matrix_from_state: bool = False
    successors: bool = False
    dropout: float = 0.2
    window: int = 5
    target_horizon: int = 1
    interest_loss_weight: float = 1.0
    max_length: int = 200
    use_profile: bool = False
    use_request_time: bool = False
    through_interests: bool = True
    precision: str = "float32"
    sharing: str = "none"

    def __post_init__(self) -> None:
        choices = {"cell": CELLS, "attention": ATTENTIONS, "precision": PRECISIONS, "sharing": SHARINGS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}: choose one of {sorted(known)}")
        if not 1 <= self.max_length <= 2**MAX_SCAN_LEVELS:
            raise ValueError(f"max_length={self.max_length} is not between 1 and {2**MAX_SCAN_LEVELS:,}")
        if self.target_horizon < 1:
            raise ValueError(
                f"target_horizon={self.target_horizon} must be at least 1: the next event always counts"
            )
