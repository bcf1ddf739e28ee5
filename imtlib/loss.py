r"""The joint loss: the next item through interests, and the coming interest points.

$$L = -\frac{1}{n} \sum_T \ln p_T(i_{T+1})
+ \frac{1}{nK} \sum_{T, y} \mathrm{BCE}\big(\hat y_T(y), [y \in G(i_{T+1}) \cup \dots \cup G(i_{T+m})]\big),$$

over the n real positions; BCE is the cross-entropy of a yes or no.
"""

from __future__ import annotations

import keras
from keras import ops

from imtlib.chunked import total_log_p
from imtlib.encoding import Tensor
from imtlib.prediction import coming_interests


def joint_loss(
    target: Tensor,
    outputs: dict[str, Tensor],
    embeddings: Tensor,
    bias: Tensor,
    item_interests: Tensor,
    window: int,
    through_interests: bool,
) -> Tensor:
    """Mean −log p of the next item, plus mean cross-entropy of the coming interests.

    Args:
        target: the next item at each position, codes, int `(B, T + 1)`; −1 where nothing is to be learnt.
        outputs: `query` `(B, T + 1, d)`, `next_interest` and `interest_logits` `(B, T + 1, K)`, of the model.
        embeddings: E, float `(N, d)`.
        bias: b, float `(N,)`.
        item_interests: G, float `(N, K)` of zeros and ones.
        window: m, how many coming events the interest points are about.
        through_interests: the mixture; or else the direct softmax, `next_interest` unread.

    Returns:
        A scalar, in nats. Only real positions are scored.
    """
    coming, real = coming_interests(target, item_interests, window)
    place = ops.nonzero(ops.reshape(real, (-1,)))[0]

    def at_real(values: Tensor) -> Tensor:
        return ops.take(ops.reshape(values, (-1, values.shape[-1])), place, axis=0)

    item = ops.take(ops.reshape(target, (-1,)), place, axis=0)
    query, interest = at_real(outputs["query"]), at_real(outputs["next_interest"])
    if through_interests:
        log_p = total_log_p(query, interest, embeddings, bias, item_interests, item)
    else:
        # The direct softmax is the mixture with a single interest that every item has.
        log_p = total_log_p(
            query,
            ops.ones_like(interest[:, :1]),
            embeddings,
            bias,
            ops.ones_like(item_interests[:, :1]),
            item,
        )
    ahead = keras.losses.binary_crossentropy(
        at_real(coming), at_real(outputs["interest_logits"]), from_logits=True
    )
    return ops.mean(ahead) - log_p / ops.cast(ops.shape(item)[0], log_p.dtype)
