"""The likelihood from a sample of the catalogue, for catalogues too large to be scored at every position.

Of m items drawn with replacement from q, item j comes $m\\,q_j$ times on average, so with the target i itself
counted exactly,

$$\\hat Z_{y'} = [y' \\in G(i)]\\,e^{l_i}
+ \\sum_{j \\in \\text{drawn},\\; j \\ne i,\\; y' \\in G(j)} \\frac{e^{l_j}}{m\\,q_j}$$

is right on average for every interest, whatever q is. Its logarithm is a little too small on average, the
less so the larger m. Source of the correction: Bengio & Senécal, IEEE Transactions on Neural Networks, 2008.
"""

from __future__ import annotations

import tensorflow as tf

from imtlib.losses.chunked_softmax import product
from imtlib.recommendation import DEPTH
from imtlib.types import Tensor


def sampled_log_p(
    query: Tensor,
    interest: Tensor,
    embeddings: Tensor,
    bias: Tensor,
    item_interests: Tensor,
    target: Tensor,
    negatives: Tensor,
    log_expected: Tensor,
    precision: str = "float32",
) -> Tensor:
    """Sum over rows of log p of the target, `total_log_p` with $\\hat Z$ in place of Z.

    Args:
        query: $g$, float `(n, d)`.
        interest: $\\bar\\pi_T$, float `(n, K)`, rows that sum to one.
        embeddings: E, float `(N, d)`.
        bias: b, float `(N,)`.
        item_interests: G, float `(N, K)` of zeros and ones.
        target: codes, int `(n,)`.
        negatives: the items drawn, codes, int `(m,)`; the same for all rows.
        log_expected: $\\ln(m\\,q_j)$ of each item drawn, float `(m,)`.
        precision: of the products over what is drawn, as there.

    Returns:
        A scalar, in nats.
    """
    own = tf.reduce_sum(query * tf.gather(embeddings, target), axis=1) + tf.gather(bias, target)
    drawn = product(query, tf.gather(embeddings, negatives), precision, transpose_b=True)
    drawn += tf.gather(bias, negatives) - log_expected
    drawn = tf.where(negatives[None] == target[:, None], -tf.float32.max, drawn)
    top = tf.stop_gradient(tf.maximum(own, tf.reduce_max(drawn, axis=1)))
    own -= top
    # However unlikely the target, it is learnt from: the limit is for the values alone.
    own += tf.stop_gradient(tf.maximum(own, -DEPTH) - own)
    held = tf.gather(item_interests, target)
    z = tf.matmul(tf.exp(drawn - top[:, None]), tf.gather(item_interests, negatives))
    # Only the target's own interests are asked for; logarithms keep the gradient finite where Z is tiny.
    z = tf.where(held > 0, z + tf.exp(own)[:, None], 1.0)
    share = tf.math.log(tf.maximum(interest, 1e-37)) - tf.math.log(z)
    within = tf.where(held > 0, share, -tf.float32.max)
    return tf.reduce_sum(own + tf.reduce_logsumexp(within, axis=1))
