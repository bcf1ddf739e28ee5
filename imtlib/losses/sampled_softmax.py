"""The likelihood from a sample of the catalogue, for catalogues too large to be scored at every position.

Of m items drawn with replacement from q, item j comes $m\\,q_j$ times on average, so with the target i itself
counted exactly,

$$\\hat Z_{y'} = [y' \\in G(i)]\\,e^{l_i}
+ \\sum_{j \\in \\text{drawn},\\; j \\ne i,\\; y' \\in G(j)} \\frac{e^{l_j}}{m\\,q_j}$$

is right on average for every interest, whatever q is. Its logarithm is a little too small on average, the
less so the larger m. Source of the correction: Bengio & Senécal, IEEE Transactions on Neural Networks, 2008.
Written in TensorFlow, whose gathered rows have a sparse gradient.
"""

from __future__ import annotations

import tensorflow as tf
from jaxtyping import Float, Int

from imtlib.losses.chunked_softmax import product
from imtlib.recommendation import DEPTH
from imtlib.types import Tensor


def sampled_log_p(
    query: Float[Tensor, "n d"],
    interest: Float[Tensor, "n K"],
    embeddings: Float[Tensor, "N d"],
    bias: Float[Tensor, " N"],
    item_interests: Float[Tensor, "N K"],
    target: Int[Tensor, " n"],
    negatives: Int[Tensor, " m"],
    log_expected: Float[Tensor, " m"],
    precision: str = "float32",
) -> Float[Tensor, ""]:
    """Sum log p of the target over rows, as `total_log_p` with $\\hat Z$ in place of Z.

    Args:
        query: $g$.
        interest: $\\bar\\pi_T$, rows that sum to one.
        embeddings: E.
        bias: b.
        item_interests: G, zeros and ones.
        target: codes.
        negatives: the items drawn, codes; the same for all rows.
        log_expected: $\\ln(m\\,q_j)$ of each item drawn.
        precision: of the products over what is drawn, as there.

    Returns:
        The sum, in nats.
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
