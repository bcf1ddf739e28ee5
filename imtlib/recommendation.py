"""Step 5, recommendation (推荐策略制定): from interests to items, and from scores to a list.

$$p(i) = e^{l_i} \\sum_{y' \\in G(i)} \\frac{\\bar\\pi_T(y')}{Z_{y'}},
\\qquad Z_{y'} = \\sum_{j : y' \\in G(j)} e^{l_j}.$$

An interest is drawn from $\\bar\\pi_T$, then one of its items. The sum over items is one. This is the
one path that fitting, scoring, evaluating and recommending use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from imtlib.encoding import Tensor

DEPTH = 60.0
"""A logit this far below its row's largest is raised to here, so that no $Z$ is ever zero in float32."""

FloatArray = NDArray[np.floating[Any]]


def _levelled(logits: Tensor) -> Tensor:
    top = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    return ops.maximum(logits - top, -DEPTH)


def _per_interest(logits: Tensor, interest: Tensor, item_interests: Tensor) -> Tensor:
    """$\\bar\\pi(y') / Z_{y'}$, `(n, K)`; an interest without items leaves its share to the others."""
    z = ops.matmul(ops.exp(logits), item_interests)
    held = ops.where(z > 0, interest, 0.0)
    return held / ops.sum(held, axis=-1, keepdims=True) / ops.where(z > 0, z, 1.0)


def items_through_interests(logits: Tensor, interest: Tensor, item_interests: Tensor) -> Tensor:
    """log p of every item, by the mixture.

    Args:
        logits: $l$, float `(n, N)`.
        interest: $\\bar\\pi_T$, float `(n, K)`, rows that sum to one.
        item_interests: $G$, float `(N, K)` of zeros and ones, no empty row.

    Returns:
        Float `(n, N)`; the exponentials of a row sum to one.
    """
    logits = _levelled(logits)
    share = _per_interest(logits, interest, item_interests)
    return logits + ops.log(ops.matmul(share, ops.transpose(item_interests)) + 1e-37)


def target_through_interests(
    logits: Tensor, interest: Tensor, item_interests: Tensor, target: Tensor
) -> Tensor:
    """log p of one item a row: the same number as `items_through_interests` at `target`, at less cost.

    Args:
        logits, interest, item_interests: as in `items_through_interests`.
        target: codes, int `(n,)`.

    Returns:
        Float `(n,)`.
    """
    logits = _levelled(logits)
    share = _per_interest(logits, interest, item_interests)
    own = ops.take(item_interests, target, axis=0)
    logit = ops.squeeze(ops.take_along_axis(logits, target[:, None], axis=-1), axis=-1)
    return logit + ops.log(ops.sum(share * own, axis=-1) + 1e-37)


def responsibility(log_z: FloatArray, interest: FloatArray, item_interests: FloatArray) -> FloatArray:
    """$p(y' \\mid i)$: how much each interest has to do with an item being recommended.

    $p(y' \\mid i) \\propto \\bar\\pi_T(y') / Z_{y'}$ for $y' \\in G(i)$.

    Args:
        log_z: $\\log Z$, `(K,)`, or `(k, K)` for items of several requests, each its own.
        interest: $\\bar\\pi_T$, of the same shape.
        item_interests: rows of G, `(k, K)`.

    Returns:
        `(k, K)`; each row sums to one.
    """
    share = np.log(np.maximum(interest, np.finfo(interest.dtype).tiny)) - log_z
    within = np.where(item_interests > 0, share, -np.inf)
    weight = np.exp(within - within.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Policy:
    """What a list must respect beside the model's own probabilities (推荐策略).

    Attributes:
        seen: whether items of the history may come again.
        profile: how much the decayed interest shares of the profile add, ≥ 0: this many times the log of
            the mean share of an item's interests.
        expected: how much the predicted interest points add, ≥ 0: this many times the log of the mean
            $\\hat y$ of an item's interests.
        diversity: from 0 to 1; at each place of the list an interest that the list already holds loses
            this share of its weight.
    """

    seen: bool = False
    profile: float = 0.0
    expected: float = 0.0
    diversity: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.diversity <= 1:
            raise ValueError(f"diversity={self.diversity} is outside 0 … 1")
        if self.profile < 0 or self.expected < 0:
            raise ValueError(f"profile={self.profile} and expected={self.expected} must not be negative")


def adjusted(
    log_p: FloatArray, item_interests: FloatArray, policy: Policy, shares: FloatArray, expected: FloatArray
) -> FloatArray:
    """Scores after the profile and the predicted interest points have spoken.

    $\\log p(i) + \\text{profile} \\cdot \\log \\overline{\\text{share}}(i)
    + \\text{expected} \\cdot \\log \\overline{\\hat y}(i)$,
    each mean over the item's interests, with one hundredth added so that no interest is ruled out.

    Args:
        log_p: `(N,)`.
        item_interests: G, `(N, K)`.
        policy: the weights.
        shares: decayed interest shares of the user, `(K,)`.
        expected: $\\hat y_T$, `(K,)`.

    Returns:
        `(N,)`.
    """
    mean = item_interests / item_interests.sum(axis=1, keepdims=True)
    profile, ahead = np.log(mean @ shares + 0.01), np.log(mean @ expected + 0.01)
    score: FloatArray = log_p + policy.profile * profile + policy.expected * ahead
    return score


def choose(
    score: FloatArray, item_interests: FloatArray, allowed: NDArray[np.bool_], k: int, diversity: float
) -> Iterator[int]:
    """Pick k items, best first, each time lowering the interests that the list already holds.

    With diversity δ an item's score loses $-\\log(1 - δ\\,f)$, f the share of the item's interests that the
    list holds. δ = 0 sorts by score; with δ = 1 an item of held interests alone comes last.

    Args:
        score: `(N,)`.
        item_interests: G, `(N, K)`.
        allowed: which items may be shown, bool `(N,)`.
        k: how many; fewer come when fewer are allowed.
        diversity: δ, from 0 to 1.

    Yields:
        Codes of items.
    """
    left, held = allowed.copy(), np.zeros(item_interests.shape[1])
    size = item_interests.sum(axis=1)
    for _ in range(min(k, int(allowed.sum()))):
        overlap = item_interests @ held / size
        penalised = score + np.log(np.maximum(1 - diversity * overlap, 1e-6))
        best = int(np.argmax(np.where(left, penalised, -np.inf)))
        yield best
        left[best] = False
        held = np.maximum(held, item_interests[best])
