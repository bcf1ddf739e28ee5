r"""The joint loss: the next item through interests, and the coming interest points.

$$L = -\frac{1}{n} \sum_T \ln p_T(i_{T+1})
+ \frac{w}{nK} \sum_{T, y} \mathrm{BCE}\big(\hat y_T(y), [y \in G(i_{T+1}) \cup \dots \cup G(i_{T+m})]\big),$$

over the n positions that have a target; w weighs the second task, BCE is the cross-entropy of a yes or no.

Where items have few events, the first part can be about more than the next item: the mean of
$\ln p_T(i_{T+k})$ over k = 1 … a, weighed by 1 / k, of the events that take place in the scenario that is
asked about at T. (To learn several coming items from one state: Pancha et al., PinnerFormer, KDD 2022.)

In the shapes, B histories have L positions, and targets are the codes of items, −1 where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import keras
from jaxtyping import Float, Int, Shaped
from keras import ops

from imtlib.losses.chunked_softmax import softmax_log_p, total_log_p
from imtlib.losses.sampled_softmax import sampled_log_p
from imtlib.prediction import coming_interests
from imtlib.types import Tensor


@dataclass(frozen=True)
class ScoredItems:
    """The items of a catalogue, as a model scores them.

    Attributes:
        embeddings: E.
        bias: b.
        interests: G, zeros and ones.
    """

    embeddings: Float[Tensor, "N d"]
    bias: Float[Tensor, " N"]
    interests: Float[Tensor, "N K"]


@runtime_checkable
class _Config(Protocol):
    """What the loss reads of `imtlib.config.ModelConfig`."""

    @property
    def window(self) -> int: ...
    @property
    def interest_loss_weight(self) -> float: ...
    @property
    def through_interests(self) -> bool: ...
    @property
    def target_horizon(self) -> int: ...
    @property
    def precision(self) -> str: ...


def joint_loss(
    batch: Mapping[str, Tensor],
    target: Int[Tensor, "B L"],
    outputs: Mapping[str, Tensor],
    items: ScoredItems,
    config: _Config,
) -> Float[Tensor, ""]:
    """Compute the mean −log p of the next item, plus the weighted mean cross-entropy of the coming interests.

    Args:
        batch: what the model was given; with `negatives` in it, the likelihood is that of a sample, and with
            `learnt`, bool `(B, L)`, some positions are no target though their item is known.
        target: the next item at each position.
        outputs: `query` `(B, L, d)`, `next_interest` and `interest_logits` `(B, L, K)`, of the model.
        items: what they are scored by.
        config: of the model, which has `window` m, `interest_loss_weight` w and `target_horizon` a.

    Returns:
        The loss, in nats.
    """
    coming, _ = coming_interests(target, items.interests, config.window)
    place = _target_positions(batch, target)
    points = keras.losses.binary_crossentropy(
        _taken(coming, place), _taken(outputs["interest_logits"], place), from_logits=True
    )
    points = config.interest_loss_weight * _mean(ops.sum(points), place)
    query, interest = outputs["query"], outputs["next_interest"]
    loss, weight = 0.0, 0.0
    for step in range(1, config.target_horizon + 1):
        item = later(batch, target, step)
        if config.through_interests:
            one = mixture_loss(batch, item, query, interest, items, config.precision)
        else:
            one = direct_loss(batch, item, query, items.embeddings, items.bias, config.precision)
        loss, weight = loss + one / step, weight + 1 / step
    return points + loss / weight


def later(batch: Mapping[str, Tensor], target: Int[Tensor, "B L"], step: int) -> Int[Tensor, "B L"]:
    """Find the item of the k-th coming event, if it takes place where the next one does.

    Args:
        batch: as for `joint_loss`.
        target: the next item at each position.
        step: k; 1 gives `target` itself.

    Returns:
        Codes; −1 where there is no such event, it is no target, or it is elsewhere.
    """
    if step == 1:
        return target

    def moved(values: Tensor) -> Tensor:
        return ops.pad(values, ((0, 0), (0, step - 1)), constant_values=-1)[:, step - 1 :]

    there = moved(batch["request_scenario"]) == batch["request_scenario"]
    if "learnt" in batch:
        there = ops.logical_and(there, moved(ops.cast(batch["learnt"], "int32")) == 1)
    return ops.where(there, moved(target), -1)


def mixture_loss(
    batch: Mapping[str, Tensor],
    target: Int[Tensor, "B L"],
    query: Float[Tensor, "B L d"],
    interest: Float[Tensor, "B L K"],
    items: ScoredItems,
    precision: str = "float32",
) -> Float[Tensor, ""]:
    """Compute the mean −log p of an item at each position, through interests, in nats.

    Args:
        batch, target, items: as for `joint_loss`.
        query: $g$.
        interest: $\\bar\\pi_T$.
        precision: of the products over the catalogue, see `imtlib.losses.chunked_softmax.product`.
    """
    place = _target_positions(batch, target)
    item = ops.take(ops.reshape(target, (-1,)), place, axis=0)
    parts = (_taken(query, place), _taken(interest, place))
    return -_mean_log_p(batch, (*parts, items.embeddings, items.bias, items.interests, item), precision)


def direct_loss(
    batch: Mapping[str, Tensor],
    target: Int[Tensor, "B L"],
    query: Float[Tensor, "B L d"],
    embeddings: Float[Tensor, "N d"],
    bias: Float[Tensor, " N"],
    precision: str = "float32",
) -> Float[Tensor, ""]:
    """Compute the mean −log p of an item at each position, by a softmax over the catalogue, in nats.

    It is the mixture with a single interest; arguments as for `mixture_loss` and `ScoredItems`.
    """
    place = _target_positions(batch, target)
    item = ops.take(ops.reshape(target, (-1,)), place, axis=0)
    if "negatives" in batch:
        one, all_items = ops.ones((ops.shape(item)[0], 1)), ops.ones((ops.shape(bias)[0], 1))
        parts = (_taken(query, place), one, embeddings, bias, all_items, item)
        return -_mean_log_p(batch, parts, precision)
    return -_mean(softmax_log_p(_taken(query, place), embeddings, bias, item, precision), item)


def _target_positions(batch: Mapping[str, Tensor], target: Int[Tensor, "B L"]) -> Int[Tensor, " n"]:
    """Find the positions to learn from, counted through the first two axes."""
    learnt = target >= 0
    if "learnt" in batch:
        learnt = ops.logical_and(learnt, batch["learnt"])
    return ops.nonzero(ops.reshape(learnt, (-1,)))[0]


def _mean_log_p(
    batch: Mapping[str, Tensor],
    parts: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
    precision: str,
) -> Float[Tensor, ""]:
    if "negatives" in batch:
        total = sampled_log_p(*parts, batch["negatives"], batch["log_expected"], precision)
    else:
        total = total_log_p(*parts, precision)
    return _mean(total, parts[-1])


def _mean(total: Float[Tensor, ""], positions: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Divide a sum over targets by their number; 0 if there is none."""
    return total / ops.cast(ops.maximum(ops.shape(positions)[0], 1), total.dtype)


def _taken(values: Shaped[Tensor, "B L w"], place: Int[Tensor, " n"]) -> Shaped[Tensor, "n w"]:
    """Take values at places of the first two axes, counted through."""
    return ops.take(ops.reshape(values, (-1, values.shape[-1])), place, axis=0)
