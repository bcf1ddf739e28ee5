"""Step 5, recommendation (推荐策略制定): from interests to items, and from scores to a list.

$$p(i) = e^{l_i} \\sum_{y' \\in G(i)} \\frac{\\bar\\pi_T(y')}{Z_{y'}},
\\qquad Z_{y'} = \\sum_{j : y' \\in G(j)} e^{l_j}.$$

An interest is drawn from $\\bar\\pi_T$, then one of its items. The sum over items is one. This is the
one path that fitting, scoring, evaluating and recommending use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Real
from keras import ops
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.profile import interest_shares
from imtlib.data.queries import without_each
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
    item_interests: Real[np.ndarray, "m K"],
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
    log_p: Float[np.ndarray, " N"],
    item_interests: Float[np.ndarray, "N K"],
    policy: Policy,
    shares: Float[np.ndarray, " K"],
    expected: Float[np.ndarray, " K"],
) -> Float[np.ndarray, " N"]:
    """Add to scores what the profile and the predicted interest points have to say.

    $\\log p(i) + \\text{profile} \\cdot \\log \\overline{\\text{share}}(i)
    + \\text{expected} \\cdot \\log \\overline{\\hat y}(i)$,
    each mean over the item's interests, with one hundredth added so that no interest is ruled out. `shares`
    are the decayed ones of the user's past events, `expected` is $\\hat y_T$.
    """
    mean = item_interests / item_interests.sum(axis=1, keepdims=True)
    profile, ahead = np.log(mean @ shares + 0.01), np.log(mean @ expected + 0.01)
    return log_p + policy.profile * profile + policy.expected * ahead


def choose(
    score: Float[np.ndarray, " N"],
    item_interests: Real[np.ndarray, "N K"],
    allowed: Bool[np.ndarray, " N"],
    k: int,
    diversity: float,
) -> Iterator[int]:
    """Pick the codes of k items, best first, each time lowering the interests that the list already holds.

    With diversity δ an item's score loses $-\\log(1 - δ\\,f)$, f the share of the item's interests that the
    list holds. δ = 0 sorts by score; with δ = 1 an item of held interests alone comes last.

    Args:
        score: of every item.
        item_interests: G.
        allowed: which items may be shown.
        k: how many; fewer come when fewer are allowed.
        diversity: δ, from 0 to 1.
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


@runtime_checkable
class _Explains(Protocol):
    catalogue: Catalogue
    config: Any

    def outputs(self, histories: Histories, names: tuple[str, ...]) -> dict[str, NDArray[np.float32]]: ...

    def log_z(self, query: NDArray[np.float32]) -> NDArray[np.float64]: ...


def recommend(
    model: _Explains,
    history: Histories,
    *,
    k: int = 10,
    allowed: Collection[str] | None = None,
    policy: Policy | None = None,
    reasons: int = 2,
) -> pd.DataFrame:
    """List the best k items for one history, best first.

    Args:
        model: an `InterestMigrationModel`.
        history: one row, of the model's catalogue.
        k: how many, at most the size of the catalogue; fewer come when fewer may be shown.
        allowed: names of the items that may be shown, such as what is in stock; all by default.
        policy: see `Policy`; by default seen items are left out and nothing else is changed.
        reasons: how many events to name for each item; 0 saves the time of finding them.

    Returns:
        One row an item. `item`; `probability`, the model's own, over the whole catalogue; `interest`, the
        one with the largest responsibility, and `share`, how large (None and NaN for a model that does not go
        through interests); `because`, the events whose removal would lower the item's log-probability most,
        as item names, largest loss first.

    Raises:
        ValueError: `k` is below 1 or above the catalogue.
        UnknownNameError: an allowed item is not in the catalogue.
    """
    names, policy = model.catalogue, policy or Policy()
    if not 1 <= k <= len(names.items):
        raise ValueError(f"k={k} is not between 1 and the {len(names.items):,} items of the catalogue")
    ends = model.outputs(history, ("log_p", "query", "next_interest", "interest_logits"))
    log_p, interests = ends["log_p"][0], names.item_interests.astype(np.float64)
    expected = 1 / (1 + np.exp(-ends["interest_logits"][0].astype(np.float64)))
    may = np.full(len(names.items), allowed is None)
    may[[] if allowed is None else names.codes("item", allowed)] = True
    if not policy.seen:
        may[history.item] = False
    score = adjusted(log_p.astype(np.float64), interests, policy, interest_shares(history)[0], expected)
    chosen = np.array(list(choose(score, interests, may, k, policy.diversity)), int)
    top, share = _interest_behind(model, ends, interests[chosen])
    return pd.DataFrame(
        {
            "item": [names.items[i] for i in chosen],
            "probability": np.exp(log_p[chosen].astype(np.float64)),
            "interest": top,
            "share": share,
            "because": _because(model, history, log_p, chosen, reasons),
        }
    )


def _interest_behind(
    model: _Explains, ends: Mapping[str, NDArray[Any]], item_interests: Float[np.ndarray, "k K"]
) -> tuple[list[str | None], Float[np.ndarray, " k"]]:
    """Find the most responsible interest of each chosen item, and its responsibility."""
    if not model.config.through_interests:
        return [None] * len(item_interests), np.full(len(item_interests), np.nan)
    why = responsibility(model.log_z(ends["query"])[0], ends["next_interest"][0], item_interests)
    return [model.catalogue.interests[y] for y in why.argmax(axis=1)], why.max(axis=1)


def _because(
    model: _Explains,
    history: Histories,
    log_p: Float[np.ndarray, " N"],
    chosen: Int[np.ndarray, " k"],
    reasons: int,
) -> list[tuple[str, ...]]:
    length = len(history.item)
    if not reasons or not length:
        return [() for _ in chosen]
    events = np.arange(max(0, length - 200), length)
    lacking = model.outputs(without_each(history, events), ("log_p",))["log_p"][:, chosen]
    loss = log_p[chosen][None] - lacking
    order = np.argsort(-loss, axis=0, kind="stable")[:reasons]
    names = model.catalogue.items
    return [
        tuple(names[history.item[events[e]]] for e in order[:, place] if loss[e, place] > 0)
        for place in range(len(chosen))
    ]
