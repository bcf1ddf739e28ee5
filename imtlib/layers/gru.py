"""The gated recurrent unit (门控循环单元), with everything that needs no order taken out of its loop.

With the update gate z, the reset gate r, the new content n and what it takes from the state m:

$$z_t = \\sigma(W_z x_t + b_z + U_z h_{t-1} + c_z), \\qquad
r_t = \\sigma(W_r x_t + b_r + U_r h_{t-1} + c_r),$$
$$m_t = U_n h_{t-1} + c_n, \\qquad n_t = \\tanh(W_n x_t + b_n + r_t \\odot m_t), \\qquad
h_t = n_t + z_t \\odot (h_{t-1} - n_t).$$

(Cho et al., 2014, with the reset after the product, as cuDNN and Keras have it.) Only $U h_{t-1}$ has to wait
for the step before, so $W x_t$ is one product for all steps. Backward, only the gradient of the state goes
from step to step. What it is multiplied with there, and the gradients of W, U and the biases, are found for
all steps at once; a gradient that follows the loop adds to each of them at every step. This layer is written
in TensorFlow, which has the loops and the gradients of one's own that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from jaxtyping import Float

from imtlib.types import Tensor


def _array(like: Float[Tensor, "... k"], steps: Tensor) -> tf.TensorArray:
    """Make room for one matrix `(B, k)` a step."""
    return tf.TensorArray(like.dtype, size=steps, element_shape=(None, like.shape[-1]))


def _forward(
    inputs: Float[Tensor, "T B k"],
    h0: Float[Tensor, "B d"],
    recurrent: Float[Tensor, "d k"],
    bias: Float[Tensor, " k"],
) -> tuple[Float[Tensor, "T B d"], Float[Tensor, "T B 4*d"]]:
    """Compute the states, and z, r, n and m of each step."""
    steps, d = tf.shape(inputs)[0], h0.shape[-1]
    read = _array(inputs, steps).unstack(inputs)

    def step(t: Tensor, h: Tensor, states: Any, gates: Any) -> tuple[Tensor, ...]:
        x, u = read.read(t), tf.matmul(h, recurrent) + bias
        zr = tf.sigmoid(x[:, : 2 * d] + u[:, : 2 * d])
        z, r, m = zr[:, :d], zr[:, d:], u[:, 2 * d :]
        n = tf.tanh(x[:, 2 * d :] + r * m)
        h = n + z * (h - n)
        return t + 1, h, states.write(t, h), gates.write(t, tf.concat([zr, n, m], 1))

    room = _array(h0, steps), _array(tf.concat([h0] * 4, 1), steps)
    _, _, states, gates = tf.while_loop(lambda t, *_: t < steps, step, (0, h0, *room))
    return states.stack(), gates.stack()


def _backward(
    came: Float[Tensor, "T B d"],
    slopes: Float[Tensor, "T B 3*d"],
    z: Float[Tensor, "T B d"],
    recurrent: Float[Tensor, "d 3*d"],
) -> tuple[Float[Tensor, "T B d"], Float[Tensor, "B d"]]:
    """Find the whole gradient of each state, and of the first one.

    Args:
        came: what comes to each state from outside the recurrence.
        slopes: of $U h + c$ with respect to the state after it.
        z: update gates.
        recurrent: U.
    """
    steps, turned = tf.shape(came)[0], tf.transpose(recurrent)
    outside, slope, gate = (_array(one, steps).unstack(one) for one in (came, slopes, z))

    def step(t: Tensor, later: Tensor, kept: Any) -> tuple[Tensor, ...]:
        g = later + outside.read(t)
        earlier = tf.matmul(tf.concat([g, g, g], 1) * slope.read(t), turned) + gate.read(t) * g
        return t - 1, earlier, kept.write(t, g)

    nothing = tf.zeros_like(came[0])
    _, first, kept = tf.while_loop(lambda t, *_: t >= 0, step, (steps - 1, nothing, _array(came, steps)))
    return kept.stack(), first


@tf.custom_gradient
def gru_states(
    x: Float[Tensor, "B T k"],
    h0: Float[Tensor, "B d"],
    kernel: Float[Tensor, "k 3*d"],
    recurrent: Float[Tensor, "d 3*d"],
    bias: Float[Tensor, "2 3*d"],
) -> tuple[Float[Tensor, "B T d"], Callable[[Tensor], tuple[Tensor, ...]]]:
    """Run a GRU over whole sequences, with its gradient written out.

    Args:
        x: what is read.
        h0: the state before.
        kernel: W, the columns of z, r and n beside each other.
        recurrent: U.
        bias: b and c.

    Returns:
        $h_1, \\dots, h_T$.
    """
    batch, steps = tf.shape(x)[0], tf.shape(x)[1]
    width, d = x.shape[-1], h0.shape[-1]
    rows = tf.reshape(tf.transpose(x, (1, 0, 2)), (-1, width))
    inputs = tf.reshape(tf.matmul(rows, kernel) + bias[0], (steps, batch, 3 * d))
    states, gates = _forward(inputs, h0, recurrent, bias[1])

    def gradient(came: Tensor) -> tuple[Tensor, ...]:
        before = tf.concat([h0[None], states[:-1]], 0)
        z, r, n, m = tf.split(gates, 4, 2)
        of_z = (before - n) * z * (1 - z)
        of_n = (1 - z) * (1 - n * n)
        of_r = of_n * m * r * (1 - r)
        slopes = tf.concat([of_z, of_r, of_n * r], 2)
        g, first = _backward(tf.transpose(came, (1, 0, 2)), slopes, z, recurrent)
        of_u = tf.reshape(tf.concat([g, g, g], 2) * slopes, (-1, 3 * d))
        of_w = tf.concat([of_u[:, : 2 * d], tf.reshape(g * of_n, (-1, d))], 1)
        of_x = tf.reshape(tf.matmul(of_w, kernel, transpose_b=True), (steps, batch, width))
        return (
            tf.transpose(of_x, (1, 0, 2)),
            first,
            tf.matmul(rows, of_w, transpose_a=True),
            tf.matmul(tf.reshape(before, (-1, d)), of_u, transpose_a=True),
            tf.stack([tf.reduce_sum(of_w, 0), tf.reduce_sum(of_u, 0)]),
        )

    return tf.transpose(states, (1, 0, 2)), gradient


@keras.saving.register_keras_serializable("imtlib")
class GRU(keras.layers.GRU):
    """Keras' GRU, with the loop above where no GPU brings a quicker one (cuDNN) and nothing is masked.

    As Keras makes it from `units` and `return_sequences` alone: of other activations the loop knows nothing.
    """

    def inner_loop(
        self, sequences: Float[Tensor, "B T k"], initial_state: Any, mask: Any, training: bool | None = False
    ) -> tuple[Float[Tensor, "B d"], Float[Tensor, "B T d"], Sequence[Float[Tensor, "B d"]]]:
        """Give what Keras asks for: the last state, all states, and the state to go on from."""
        if mask is not None or tf.config.list_physical_devices("GPU"):
            return super().inner_loop(sequences, initial_state, mask, training)
        (h0,) = initial_state
        weights = (tf.convert_to_tensor(weight) for weight in self.cell.weights)
        states = gru_states(sequences, h0, *weights)
        return states[:, -1], states, [states[:, -1]]
