"""The property tests bite: each named fault makes one of them fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from keras import ops
from support import properties
from support.worlds import small_model

from imtlib import attention, model
from imtlib.attention import ConstantQueryAttention, StateQueryAttention
from imtlib.layers import attention_controls


def pair_not_shifted(states: Any) -> Any:
    after = ops.concatenate([states[:, 2:], states[:, -1:]], axis=1)
    return ops.concatenate([states[:, 1:], after], axis=-1)


def no_mask(real: Any, position: Any = None) -> Any:
    batch, time = ops.shape(real)
    rows = time + 1 if position is None else ops.shape(position)[1]
    return ops.ones((batch, rows, time), "bool")


def heads_merged_without_transposing(x: Any) -> Any:
    batch, heads, time, width = ops.shape(x)
    return ops.reshape(x, (batch, time, heads * width))


def scaled_by_the_whole_width(scores: Any, width: int) -> Any:
    return scores / (4 * width) ** 0.5


def rows_from_an_averaged_interest(belief: Any, matrix: Any) -> Any:
    return ops.softmax(ops.sum(belief[..., None] * ops.log(matrix + 1e-9), axis=-2), axis=-1)


def one_global_maximum(join: Any, parts: Any, empty: Any, levels: int = 10) -> Any:
    scores, value, ones = parts
    powers = ops.exp(scores - ops.max(scores, axis=1, keepdims=True))
    return scores, ops.cumsum(value * powers[..., None], axis=1), ops.cumsum(ones * powers, axis=1)


def on_a_model(kind: str, check: Callable[[Any], None]) -> Callable[[], None]:
    return lambda: check(small_model(kind))


MUTANTS = [
    (attention, "migrations", pair_not_shifted, on_a_model("constant", properties.future_never_reaches_past)),
    (attention, "migrations", pair_not_shifted, on_a_model("state", properties.future_never_reaches_past)),
    (attention, "visible", no_mask, on_a_model("state", properties.future_never_reaches_past)),
    (attention, "visible", no_mask, on_a_model("constant", properties.at_positions_equals_whole)),
    (attention_controls, "visible", no_mask, on_a_model("self", properties.weights_are_of_the_past)),
    (
        attention,
        "merge_heads",
        heads_merged_without_transposing,
        lambda: properties.attention_equals_definition(properties.a_layer(StateQueryAttention)),
    ),
    (
        attention,
        "scaled",
        scaled_by_the_whole_width,
        lambda: properties.attention_equals_definition(properties.a_layer(StateQueryAttention)),
    ),
    (
        model,
        "mix_rows",
        rows_from_an_averaged_interest,
        on_a_model("constant", properties.rows_are_mixed_not_averaged),
    ),
    (
        attention,
        "prefix_scan",
        one_global_maximum,
        lambda: properties.large_later_scores_change_nothing(properties.a_layer(ConstantQueryAttention)),
    ),
]


@pytest.mark.parametrize(
    ("module", "name", "fault", "check"), MUTANTS, ids=lambda part: getattr(part, "__name__", "")
)
def test_a_fault_is_noticed(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, fault: Any, check: Any
) -> None:
    monkeypatch.setattr(module, name, fault)
    with pytest.raises(AssertionError):
        check()


def test_without_a_fault_the_same_checks_pass() -> None:
    for *_, check in MUTANTS:
        assert check() is None
