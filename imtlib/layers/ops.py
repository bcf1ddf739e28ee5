"""Small operations on tensors that several layers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jaxtyping import Bool, Float, Shaped
from keras import ops

from imtlib.layers.backend import shared_graph
from imtlib.types import Tensor

MASKED_SCORE = -1e9
"""The score of what may not be seen or chosen: finite, so that a row of nothing else gives no NaN."""

MAX_SCAN_LEVELS = 10
"""How often a scan halves a sequence whose length is not known when its graph is made: 1,024 events."""

Parts = tuple[Tensor, ...]


def real_events(batch: Mapping[str, Tensor]) -> Bool[Tensor, "B T"]:
    """Say which of the T places of a batch hold an event and are not padding."""
    return ops.arange(ops.shape(batch["item"])[1])[None] < batch["length"][:, None]


def time_slice(x: Shaped[Tensor, "B T *w"], first: int, length: Tensor) -> Shaped[Tensor, "B {length} *w"]:
    """Take `x[:, first : first + length]`; its gradient is a padding, quicker than that of such an index."""
    rank = len(x.shape)
    return ops.slice(x, [0, first] + [0] * (rank - 2), [-1, length] + [-1] * (rank - 2))


def split_heads(x: Float[Tensor, "B T d"], heads: int) -> Float[Tensor, "B {heads} T d//{heads}"]:
    """Cut vectors into one part a head."""
    batch, time, width = ops.shape(x)[0], ops.shape(x)[1], x.shape[-1]
    return ops.transpose(ops.reshape(x, (batch, time, heads, width // heads)), (0, 2, 1, 3))


def merge_heads(x: Float[Tensor, "B h T w"]) -> Float[Tensor, "B T h*w"]:
    """Set the heads' parts side by side: the head axis moves back before the two are joined."""
    batch, heads, time, width = ops.shape(x)[0], x.shape[1], ops.shape(x)[2], x.shape[3]
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (batch, time, heads * width))


def masked_softmax(scores: Float[Tensor, "*#n K"], seen: Bool[Tensor, "*#n K"]) -> Float[Tensor, "*#n K"]:
    """Take the softmax over the last axis among what is seen; a row that sees nothing is all zero."""
    scores = ops.where(seen, scores, MASKED_SCORE)
    powers = ops.exp(scores - ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True)))
    powers = ops.where(seen, powers, 0.0)
    return powers / ops.maximum(ops.sum(powers, axis=-1, keepdims=True), 1e-30)


def prefix_scan(
    join: Callable[[Parts, Parts], Parts], parts: Parts, empty: Parts, levels: int = MAX_SCAN_LEVELS
) -> Parts:
    """Join every prefix of a sequence, in work that grows linearly with its length (Blelloch, 1990).

    Neighbours are joined into a sequence of half the length, its prefixes are found in the same way,
    and each even place is joined to the prefix before it.

    Args:
        join: an associative function of two elements.
        parts: the elements, each part `(B, T, …)`.
        empty: the element that changes nothing, each part `(B, 1, …)`.
        levels: how often to halve where T is not known beforehand; 2 ** levels must reach it.

    Returns:
        The joined prefixes, shaped as `parts`.
    """
    halve: Callable[..., Any] = partial(_halve, join)
    extend: Callable[..., Any] = partial(_extend, join)
    if parts[0].shape[1] is None:
        # Where the length is open, every halving is the same graph: it is made once, and called at each.
        halve, extend = shared_graph(halve), shared_graph(extend)
    return _scan(halve, extend, parts, empty, levels)


def _scan(
    halve: Callable[..., Any], extend: Callable[..., Any], parts: Parts, empty: Parts, levels: int
) -> Parts:
    static = parts[0].shape[1]
    if static == 1 or (static is None and levels == 0):
        return parts
    left, joined = halve(parts, empty)
    odd = _scan(halve, extend, joined, empty, levels - 1)
    found: Parts = extend(odd, left, parts, empty)
    return found


def _halve(join: Callable[[Parts, Parts], Parts], parts: Parts, empty: Parts) -> tuple[Parts, Parts]:
    """The even places, and each of them joined to its odd neighbour."""
    left, right = zip(*(_pairs(x, e) for x, e in zip(parts, empty, strict=True)), strict=True)
    return left, join(left, right)


def _extend(
    join: Callable[[Parts, Parts], Parts], odd: Parts, left: Parts, parts: Parts, empty: Parts
) -> Parts:
    """All prefixes, from those that end at odd places."""
    before = tuple(
        ops.concatenate([e, time_slice(x, 0, ops.shape(x)[1] - 1)], axis=1)
        for x, e in zip(odd, empty, strict=True)
    )
    even = join(before, left)
    return tuple(_interleave(a, b, ops.shape(x)[1]) for a, b, x in zip(even, odd, parts, strict=True))


def _pairs(x: Float[Tensor, "B T *w"], empty: Float[Tensor, "B 1 *w"]) -> list[Float[Tensor, "B half *w"]]:
    """Part the even places from the odd ones; where their number is odd, the empty element comes behind."""
    x = ops.concatenate([x, empty[:, : ops.shape(x)[1] % 2]], axis=1)
    shape = ops.shape(x)
    # Unstacked, not sliced with a stride: the gradient of that is slow.
    return ops.unstack(ops.reshape(x, (shape[0], shape[1] // 2, 2, *x.shape[2:])), axis=2)


def _interleave(
    even: Float[Tensor, "B half *w"], odd: Float[Tensor, "B half *w"], length: Tensor
) -> Float[Tensor, "B {length} *w"]:
    both = ops.stack([even, odd], axis=2)
    shape = ops.shape(both)
    return time_slice(ops.reshape(both, (shape[0], shape[1] * 2, *both.shape[3:])), 0, length)
