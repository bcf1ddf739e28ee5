"""Step 5, recommendation (推荐策略制定): from interests to items, and from scores to a list.

$$p(i) = e^{l_i} \\sum_{y' \\in G(i)} \\frac{\\bar\\pi_T(y')}{Z_{y'}},
\\qquad Z_{y'} = \\sum_{j : y' \\in G(j)} e^{l_j}.$$

An interest is drawn from $\\bar\\pi_T$, then one of its items. The sum over items is one. This is the
one path that fitting, scoring, evaluating and recommending use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Real
from keras import ops

from imtlib.types import Tensor

DEPTH = 60.0
"""A logit this far below its row's largest is raised to here, so that no $Z$ is ever zero in float32."""


def _per_interest(
    logits: Float[Tensor, "n N"], interest: Float[Tensor, "n K"], item_interests: Float[Tensor, "N K"]
) -> tuple[Float[Tensor, "n N"], Float[Tensor, "n K"]]:
    """Move the largest logits to 0, and compute $\\bar\\pi(y') / Z_{y'}$, which is 0 where no item is."""
    top = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    logits = ops.maximum(logits - top, -DEPTH)
    z = ops.matmul(ops.exp(logits), item_interests)
    held = ops.where(z > 0, interest, 0.0)
    return logits, held / ops.sum(held, axis=-1, keepdims=True) / ops.where(z > 0, z, 1.0)


def items_through_interests(
    logits: Float[Tensor, "n N"], interest: Float[Tensor, "n K"], item_interests: Float[Tensor, "N K"]
) -> Float[Tensor, "n N"]:
    """Compute log p of every item, by the mixture: the exponentials of a row sum to one.

    Args:
        logits: $l$.
        interest: $\\bar\\pi_T$, rows that sum to one.
        item_interests: $G$, zeros and ones, no empty row.
    """
    logits, share = _per_interest(logits, interest, item_interests)
    return logits + ops.log(ops.matmul(share, ops.transpose(item_interests)) + 1e-37)


def log_partition(logits: Float[Tensor, "n N"], item_interests: Float[Tensor, "N K"]) -> Float[Tensor, "n K"]:
    """Compute $\\log Z_{y'}$ of every interest; −∞ where no item is.

    Args:
        logits: $l$.
        item_interests: $G$, zeros and ones.
    """
    top = ops.max(logits, axis=-1, keepdims=True)
    return top + ops.log(ops.matmul(ops.exp(ops.maximum(logits - top, -DEPTH)), item_interests))


def target_through_interests(
    logits: Float[Tensor, "n N"],
    interest: Float[Tensor, "n K"],
    item_interests: Float[Tensor, "N K"],
    target: Int[Tensor, " n"],
) -> Float[Tensor, " n"]:
    """Compute log p of one item a row: the number of `items_through_interests` at `target`, at less cost."""
    logits, share = _per_interest(logits, interest, item_interests)
    own = ops.take(item_interests, target, axis=0)
    logit = ops.squeeze(ops.take_along_axis(logits, target[:, None], axis=-1), axis=-1)
    return logit + ops.log(ops.sum(share * own, axis=-1) + 1e-37)


def responsibility(
    log_z: Float[np.ndarray, "*k K"],
    interest: Float[np.ndarray, "*k K"],
    item_interests: Real[np.ndarray, "m K"] | Bool[np.ndarray, "m K"],
) -> Float[np.ndarray, "m K"]:
    """Say how much each interest has to do with an item being recommended.

    Args:
        log_z: $\\log Z$ of one request, or of each item's own.
        interest: $\\bar\\pi_T$, likewise.
        item_interests: rows of G.

    Returns:
        $p(y' \\mid i) \\propto \\bar\\pi_T(y') / Z_{y'}$ for $y' \\in G(i)$; each row sums to one.
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
    log_p: Float[np.ndarray, "*n N"],
    item_interests: Real[np.ndarray, "N K"] | Bool[np.ndarray, "N K"],
    policy: Policy,
    shares: Float[np.ndarray, "*n K"],
    expected: Float[np.ndarray, "*n K"],
) -> Float[np.ndarray, "*n N"]:
    """Add to scores what the profile and the predicted interest points have to say.

    $\\log p(i) + \\text{profile} \\cdot \\log \\overline{\\text{share}}(i)
    + \\text{expected} \\cdot \\log \\overline{\\hat y}(i)$,
    each mean over the item's interests, with one hundredth added so that no interest is ruled out. `shares`
    are the decayed ones of the user's past events, `expected` is $\\hat y_T$.
    """
    mean = (item_interests / item_interests.sum(axis=1, keepdims=True)).T
    profile, ahead = np.log(shares @ mean + 0.01), np.log(expected @ mean + 0.01)
    return log_p + policy.profile * profile + policy.expected * ahead


def choose(
    score: Float[np.ndarray, " N"],
    item_interests: Real[np.ndarray, "N K"] | Bool[np.ndarray, "N K"],
    allowed: Bool[np.ndarray, " N"],
    k: int,
    diversity: float,
) -> Int[np.ndarray, " m"]:
    """Pick the codes of k items, best first, each time lowering the interests that the list already holds.

    With diversity δ an item's score loses $-\\log(1 - δ\\,f)$, f the share of the item's interests that the
    list holds. δ = 0 sorts by score; with δ = 1 an item of held interests alone comes last.

    Args:
        score: of every item.
        item_interests: G.
        allowed: which items may be shown.
        k: how many; fewer come when fewer are allowed.
        diversity: δ, from 0 to 1.

    Returns:
        Their codes, int64.
    """
    k = min(k, int(allowed.sum()))
    if k == 0:
        return np.zeros(0, np.int64)
    offered = np.where(allowed, score, -np.inf)
    # One of the k best is always left, and loses no more than this: an item further below is never picked.
    within_reach = np.partition(offered, -k)[-k] + np.log(max(1 - diversity, 1e-6))
    near = np.flatnonzero(allowed & (offered >= within_reach))
    near = near[np.argsort(-offered[near], kind="stable")]
    if diversity == 0:
        return near[:k]
    score, own = offered[near], item_interests[near].astype(np.float64)
    size, held, chosen = own.sum(axis=1), np.zeros(own.shape[1]), []
    for _ in range(k):
        overlap = own @ held / size
        best = int(np.argmax(score + np.log(np.maximum(1 - diversity * overlap, 1e-6))))
        chosen.append(best)
        score[best] = -np.inf
        held = np.maximum(held, own[best])
    return near[chosen]
