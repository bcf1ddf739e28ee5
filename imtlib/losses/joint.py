r"""The joint loss: the next item through interests, and the coming interest points.

$$L = -\frac{1}{n} \sum_T \ln p_T(i_{T+1})
+ \frac{w}{nK} \sum_{T, y} \mathrm{BCE}\big(\hat y_T(y), [y \in G(i_{T+1}) \cup \dots \cup G(i_{T+m})]\big),$$

over the n real positions; w weighs the second task, BCE is the cross-entropy of a yes or no.

Where items have few events, the first part can be about more than the next item: the mean of $\ln
    p_T(i_{T+k})$
over k = 1 … a, weighed by 1 / k, of the events that take place in the scenario that is asked about at T. (To
learn several coming items from one state: Pancha et al., PinnerFormer, KDD 2022.)
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import ops

from imtlib.losses.chunked_softmax import softmax_log_p, total_log_p
from imtlib.losses.sampled_softmax import sampled_log_p
from imtlib.prediction import coming_interests
from imtlib.types import Tensor


def joint_loss(
    batch: Mapping[str, Tensor],
    target: Tensor,
    outputs: Mapping[str, Tensor],
    embeddings: Tensor,
    bias: Tensor,
    item_interests: Tensor,
    window: int,
    interest_loss_weight: float,
    through_interests: bool,
    target_horizon: int = 1,
    precision: str = "float32",
) -> Tensor:
    """Mean −log p of the next item, plus weighted mean cross-entropy of the coming interests.

    Args:
        batch: what the model was given; with `negatives` in it, the likelihood is that of a sample, and with
            `learnt`, bool `(B, T + 1)`, some positions are no target though their item is known.
        target: the next item at each position, codes, int `(B, T + 1)`; −1 where there is none.
        outputs: `query` `(B, T + 1, d)`, `next_interest` and `interest_logits` `(B, T + 1, K)`, of the model.
        embeddings: E, float `(N, d)`.
        bias: b, float `(N,)`.
        item_interests: G, float `(N, K)` of zeros and ones.
        window: m, how many coming events the interest points are about.
        interest_loss_weight: w, of the second part.
        through_interests: the mixture; or else the direct softmax, `next_interest` unread.
        target_horizon: a, how many coming events the first part is about.
        precision: of the products over the catalogue, see `imtlib.losses.chunked_softmax.product`.

    Returns:
        A scalar, in nats. Only real positions are scored.
    """
    coming, _ = coming_interests(target, item_interests, window)
    place = _target_positions(batch, target)
    points = keras.losses.binary_crossentropy(
        _taken(coming, place), _taken(outputs["interest_logits"], place), from_logits=True
    )
    points = interest_loss_weight * _mean(ops.sum(points), place)
    query, interest = outputs["query"], outputs["next_interest"]
    loss, weight = 0.0, 0.0
    for step in range(1, target_horizon + 1):
        item = later(batch, target, step)
        if through_interests:
            one = mixture_loss(batch, item, query, interest, embeddings, bias, item_interests, precision)
        else:
            one = direct_loss(batch, item, query, embeddings, bias, precision)
        loss, weight = loss + one / step, weight + 1 / step
    return points + loss / weight


def later(batch: Mapping[str, Tensor], target: Tensor, step: int) -> Tensor:
    """The item of the k-th coming event, if it takes place where the next one does.

    Args:
        batch: as for `joint_loss`.
        target: the next item at each position, codes, int `(B, T + 1)`; −1 where there is none.
        step: k; 1 gives `target` itself.

    Returns:
        Codes, int `(B, T + 1)`; −1 where there is no such event, it is no target, or it is elsewhere.
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
    target: Tensor,
    query: Tensor,
    interest: Tensor,
    embeddings: Tensor,
    bias: Tensor,
    item_interests: Tensor,
    precision: str = "float32",
) -> Tensor:
    """Mean −log p of an item at each position, through interests; arguments as `joint_loss` has them.

    Args:
        batch, embeddings, bias, item_interests, precision: as for `joint_loss`.
        target: codes, int `(B, T + 1)`; −1 where there is none.
        query: float `(B, T + 1, d)`.
        interest: $\\bar\\pi_T$, float `(B, T + 1, K)`.

    Returns:
        A scalar, in nats. Only real positions are scored.
    """
    place = _target_positions(batch, target)
    item = ops.take(ops.reshape(target, (-1,)), place, axis=0)
    parts = (_taken(query, place), _taken(interest, place), embeddings, bias, item_interests, item)
    return -_mean_log_p(batch, parts, precision)


def direct_loss(
    batch: Mapping[str, Tensor],
    target: Tensor,
    query: Tensor,
    embeddings: Tensor,
    bias: Tensor,
    precision: str = "float32",
) -> Tensor:
    """Mean −log p of the next item by a plain softmax over the catalogue, the mixture with a single interest.

    Args:
        batch: as for `joint_loss`.
        target: the next item at each position, codes, int `(B, T + 1)`; −1 where there is none.
        query: float `(B, T + 1, d)`.
        embeddings: E, float `(N, d)`.
        bias: b, float `(N,)`.
        precision: as for `joint_loss`.

    Returns:
        A scalar, in nats. Only real positions are scored.
    """
    place = _target_positions(batch, target)
    item = ops.take(ops.reshape(target, (-1,)), place, axis=0)
    if "negatives" in batch:
        one, all_items = ops.ones((ops.shape(item)[0], 1)), ops.ones((ops.shape(bias)[0], 1))
        parts = (_taken(query, place), one, embeddings, bias, all_items, item)
        return -_mean_log_p(batch, parts, precision)
    return -_mean(softmax_log_p(_taken(query, place), embeddings, bias, item, precision), item)


def _target_positions(batch: Mapping[str, Tensor], target: Tensor) -> Tensor:
    """The positions to learn from, counted through the first two axes, int `(n,)`."""
    learnt = target >= 0
    if "learnt" in batch:
        learnt = ops.logical_and(learnt, batch["learnt"])
    return ops.nonzero(ops.reshape(learnt, (-1,)))[0]


def _mean_log_p(
    batch: Mapping[str, Tensor],
    parts: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
    precision: str,
) -> Tensor:
    if "negatives" in batch:
        total = sampled_log_p(*parts, batch["negatives"], batch["log_expected"], precision)
    else:
        total = total_log_p(*parts, precision)
    return _mean(total, parts[-1])


def _mean(total: Tensor, positions: Tensor) -> Tensor:
    """A sum over targets as their mean; 0 if there is none."""
    return total / ops.cast(ops.maximum(ops.shape(positions)[0], 1), total.dtype)


def _taken(values: Tensor, place: Tensor) -> Tensor:
    """`values` `(B, L, …)` at the places of its first two axes, counted through: `(places, …)`."""
    return ops.take(ops.reshape(values, (-1, values.shape[-1])), place, axis=0)
