"""Configurations are checked when they are made, field by field."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, asdict, replace
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from imtlib import config
from imtlib.attention import ATTENTIONS
from imtlib.baselines.sequential import SequenceConfig
from imtlib.config import Augmentation, Bounds, ModelConfig, TrainingConfig, configured, settings_of
from imtlib.encoding import CELLS
from imtlib.errors import ModelFileError
from imtlib.layers.scenario_sharing import SHARINGS

CONFIGS = (ModelConfig, TrainingConfig, Augmentation, SequenceConfig)
HINTS = [
    (kind, name, get_args(hint)[0] if NoneType in get_args(hint) else hint)
    for kind in CONFIGS
    for name, hint in get_type_hints(kind, include_extras=True).items()
]


def test_every_field_is_looked_at() -> None:
    assert len(HINTS) > 40


@pytest.mark.parametrize(("kind", "name", "hint"), HINTS)
def test_a_value_of_another_kind_is_refused(kind: Any, name: str, hint: Any) -> None:
    error = ValueError if get_origin(hint) is Literal else TypeError
    for value in ("some", [1], 1j, True if hint is not bool else 1):
        with pytest.raises(error, match=name):
            kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "bounds"),
    [(kind, name, one) for kind, name, hint in HINTS for one in get_args(hint) if isinstance(one, Bounds)],
)
def test_a_number_out_of_bounds_is_refused(kind: Any, name: str, bounds: Bounds) -> None:
    outside = [bounds.low - 1]
    if bounds.high < math.inf:
        outside += [bounds.high + bounds.closed]
    for value in outside:
        with pytest.raises(ValueError, match=f"{name}={value} must be {bounds}"):
            kind(**{name: value})


def test_bounds_hold_no_number_that_is_none() -> None:
    assert [value in Bounds(0) for value in (0, 1e300, math.inf, math.nan)] == [True, True, False, False]
    assert [value in Bounds(0, 1) for value in (0, 0.5, 1)] == [True, True, False]
    assert [value in Bounds(0, 1, closed=True) for value in (1, 1.1)] == [True, False]
    assert str(Bounds(1, 1024, closed=True)) == "from 1 to 1,024"


@pytest.mark.parametrize(
    ("choices", "known"),
    [
        (config.Attention, ATTENTIONS),
        (config.Cell, CELLS),
        (config.Precision, ("float32", "bfloat16")),
        (config.Sharing, SHARINGS),
    ],
)
def test_the_choices_are_those_that_there_are(choices: Any, known: Any) -> None:
    assert set(get_args(choices)) == set(known)


def test_every_head_needs_a_whole_width() -> None:
    for kind in (ModelConfig, SequenceConfig):
        with pytest.raises(ValueError, match="heads=3 does not divide units=16"):
            kind(units=16, heads=3)
    assert ModelConfig(units=16, heads=3, attention="none").heads == 3


def test_whole_numbers_do_for_shares_and_nothing_changes_later() -> None:
    chosen = ModelConfig(dropout=0, interest_loss_weight=2)
    assert replace(chosen, units=8).dropout == 0
    with pytest.raises(FrozenInstanceError):
        chosen.units = 8  # type: ignore[misc]
    with pytest.raises(TypeError, match="unit"):
        ModelConfig(unit=8)  # type: ignore[call-arg]


def test_a_configuration_is_taken_with_some_fields_replaced_and_no_other_kind() -> None:
    assert configured(ModelConfig, None, {"units": 8}) == ModelConfig(units=8)
    assert configured(ModelConfig, ModelConfig(units=8), {"heads": 2}) == ModelConfig(units=8, heads=2)
    with pytest.raises(TypeError, match="config is a TrainingConfig, and must be a ModelConfig"):
        configured(ModelConfig, TrainingConfig(), {})


def test_settings_of_older_formats_are_read_and_of_others_refused() -> None:
    now = asdict(ModelConfig(target_horizon=3, interest_loss_weight=0.5))
    assert settings_of({"format": config.FORMAT, **now}, "the file") == now
    before = {"format": 1, "units": 8, "ahead": 3, "points_weight": 0.5}
    expected = ModelConfig(units=8, target_horizon=3, interest_loss_weight=0.5)
    assert ModelConfig(**settings_of(before, "the file")) == expected
    with pytest.raises(ModelFileError, match="the file has format 0"):
        settings_of({"format": 0}, "the file")


def test_a_field_that_there_is_not_is_named_with_its_neighbour() -> None:
    with pytest.raises(TypeError, match="TrainingConfig has no field 'epoch': did you mean 'epochs'"):
        configured(TrainingConfig, None, {"epoch": 1})
    with pytest.raises(TypeError, match="no field 'colour': there are epochs, batch"):
        configured(TrainingConfig, None, {"colour": 1})
