"""Many scenarios in one model (多场景): what is shared between them, and what belongs to one alone.

Every layer here has one interface, `layer(state, request_scenario)`: what the encoder says of the past, and
where the next event takes place, give a state of the same shape, and all heads read that one. `"none"` is the
control; the others begin as it does, so that they can be added to a model that has learnt.
"""

from __future__ import annotations

from typing import Any

import keras
from jaxtyping import Float, Int
from keras import ops

from imtlib.types import Shape, Tensor


@keras.saving.register_keras_serializable("imtlib", name="Shared")
class SharedBottom(keras.layers.Layer):
    """Nothing belongs to one scenario: the state as it is. It has no weights, and is the control.

    Args:
        scenarios: how many, S.
        units: width d.
    """

    def __init__(self, scenarios: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = {"scenarios": scenarios, "units": units}

    def call(self, state: Float[Tensor, "*n d"], scenario: Int[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
        """Make the state for a request.

        Args:
            state: $h_T$.
            scenario: $s'$, the scenario of the request, a code from 0 to S − 1.
        """
        return state

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), **self.sizes}


@keras.saving.register_keras_serializable("imtlib")
class ScenarioGate(SharedBottom):
    """A gate on each number of the state, opened or closed by the scenario and the state itself.

    $$h'_T = 2\\,\\sigma\\big(W_2\\,\\mathrm{relu}(W_1 [\\bar h_T; z_{s'}] + b_1) + b_2\\big) \\odot h_T,$$

    with $z_{s'}$ an embedding of the scenario and $\\bar h_T$ the state again, through which no gradient
    flows back: the shared state is not to be bent so that it opens gates. A gate lies between 0 and 2; $W_2$
    and $b_2$ begin at zero, so every gate begins at one. Of one scenario alone are the d numbers $z_s$.
    Source: the gate unit of PEPNet (Chang et al., KDD 2023), on the state in place of the embeddings.

    Args:
        scenarios: how many, S.
        units: width d, of the embedding and of the hidden layer too.
    """

    def build(self, state_shape: Shape, scenario_shape: Shape) -> None:
        """Make z `(S, d)`, $W_1$ `(2d, d)` and $W_2$ `(d, d)`, with their biases."""
        d = self.sizes["units"]
        scale = keras.initializers.RandomNormal(stddev=d**-0.5)
        self.own = self.add_weight(shape=(self.sizes["scenarios"], d), initializer=scale, name="own")
        self.hidden = keras.layers.Dense(d, activation="relu", name="hidden")
        self.opening = keras.layers.Dense(d, kernel_initializer="zeros", activation="sigmoid", name="opening")
        self.hidden.build((*state_shape[:-1], 2 * d))
        self.opening.build((*state_shape[:-1], d))

    def gate(self, state: Float[Tensor, "*n d"], scenario: Int[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
        """Compute how far each number of the state is let through, from 0 to 2; arguments as in `call`."""
        seen = [ops.stop_gradient(state), ops.take(self.own, scenario, axis=0)]
        return 2 * self.opening(self.hidden(ops.concatenate(seen, axis=-1)))

    def call(self, state: Float[Tensor, "*n d"], scenario: Int[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
        """Gate the state; arguments as `SharedBottom.call` has them."""
        return self.gate(state, scenario) * state


@keras.saving.register_keras_serializable("imtlib")
class StarDense(SharedBottom):
    """A dense layer whose weights are a shared matrix times one of the scenario, element by element.

    $$h'_T = (W \\odot W_{s'})^{\\top} h_T + b + b_{s'}.$$

    W begins as the identity, every $W_s$ as ones and every bias as zero. What is stored of W and $W_s$, and
    held small by weight decay, is the distance from there: a scenario with few events stays near the shared
    layer, one without any is served by it. Of one scenario alone are the d² numbers of $W_s$ and d of $b_s$.
    Source: the star topology of STAR (Sheng et al., CIKM 2021), without its normalisation by domain and its
    auxiliary network.

    All S layers are computed and one is chosen: S · d² products a position, and no weights copied to each.

    Args:
        scenarios: how many, S.
        units: width d.
    """

    def build(self, state_shape: Shape, scenario_shape: Shape) -> None:
        """Make W − I `(d, d)`, $W_s - 1$ `(S, d, d)`, b `(d,)` and $b_s$ `(S, d)`."""
        s, d = self.sizes["scenarios"], self.sizes["units"]
        self.common = self.add_weight(shape=(d, d), initializer="zeros", name="common")
        self.own = self.add_weight(shape=(s, d, d), initializer="zeros", name="own")
        self.bias = self.add_weight(shape=(d,), initializer="zeros", name="bias")
        self.own_bias = self.add_weight(shape=(s, d), initializer="zeros", name="own_bias")

    def kernels(self) -> Float[Tensor, "S d d"]:
        """Compute $W \\odot W_s$ of every scenario."""
        return (ops.eye(self.sizes["units"]) + self.common) * (1 + self.own)

    def call(self, state: Float[Tensor, "*n d"], scenario: Int[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
        """Apply the layer of each state's scenario; arguments as `SharedBottom.call` has them."""
        every = ops.einsum("...d,sde->...se", state, self.kernels()) + self.bias + self.own_bias
        chosen = ops.one_hot(scenario, self.sizes["scenarios"], dtype=every.dtype)
        return ops.sum(chosen[..., None] * every, axis=-2)


SHARINGS: dict[str, type[SharedBottom]] = {"none": SharedBottom, "gate": ScenarioGate, "star": StarDense}
"""What belongs to one scenario, by name: nothing, a gate, or a layer's weights."""
