"""Step 1, encoding (用户行为序列编码): from events to hidden states.

$$e_t = E_{\\text{item}}[i_t] + E_{\\text{scenario}}[s_t] + E_{\\text{behaviour}}[b_t] + E_{\\text{gap}}[g_t],
\\qquad h_0 = \\tanh(U \\cdot \\text{profile}), \\qquad h_t = \\mathrm{RNN}(e_1, \\dots, e_t).$$
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from jaxtyping import Float, Int, Shaped
from keras import ops

from imtlib.data.inputs import GAP_BUCKETS, HIDDEN
from imtlib.layers.gru import GRU
from imtlib.types import Shape, Tensor

CELLS = {"gru": GRU, "lstm": keras.layers.LSTM}


def read(table: Callable[[Tensor], Tensor], item: Int[Tensor, "*n"]) -> Shaped[Tensor, "*n d"]:
    """Look items up in a table, which gives a row for each code; of a `HIDDEN` one the row is zero."""
    rows = table(ops.maximum(item, 0))
    return ops.where((item != HIDDEN)[..., None], rows, ops.zeros_like(rows))


@keras.saving.register_keras_serializable("imtlib")
class EventEmbedding(keras.layers.Layer):
    """One vector an event: the sum of what happened, where, how, and how long after the event before.

    Args:
        items, scenarios, behaviours: how many there are of each.
        units: width d.
        item: what gives the vectors of items, such as `imtlib.layers.item_fusion.FusedItems`; by default a
            table.
    """

    def __init__(
        self,
        items: int,
        scenarios: int,
        behaviours: int,
        units: int,
        item: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sizes = {"items": items, "scenarios": scenarios, "behaviours": behaviours, "units": units}

        def table(size: int, name: str) -> keras.layers.Embedding:
            # A row of length about one, whatever the width, so that no part of the sum drowns another.
            scale = keras.initializers.RandomNormal(stddev=units**-0.5)
            return keras.layers.Embedding(size, units, embeddings_initializer=scale, name=name)

        self.item = table(items, "item") if item is None else item
        self.scenario = table(scenarios, "scenario")
        self.behaviour = table(behaviours, "behaviour")
        self.gap = table(GAP_BUCKETS, "gap")

    def call(
        self,
        item: Int[Tensor, "*n"],
        scenario: Int[Tensor, "*n"],
        behaviour: Int[Tensor, "*n"],
        gap: Int[Tensor, "*n"],
    ) -> Float[Tensor, "*n d"]:
        """Embed events, each $e_t$.

        Args:
            item, scenario, behaviour, gap: codes; an item may be `HIDDEN`; for the gap see `gap_bucket`.
        """
        return read(self.item, item) + self.scenario(scenario) + self.behaviour(behaviour) + self.gap(gap)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), **self.sizes}


@keras.saving.register_keras_serializable("imtlib")
class RecurrentBlock(keras.layers.Layer):
    """A recurrent layer and a feed-forward layer, each added to its input and normalised.

    $$x' = \\mathrm{LN}(x + \\mathrm{RNN}(x)),
    \\qquad \\text{output} = \\mathrm{LN}(x' + W_2\\,\\mathrm{gelu}(W_1 x')).$$

    Args:
        units: width d; the feed-forward layer is four times as wide.
        cell: `"gru"` (Cho et al., 2014) or `"lstm"` (Hochreiter & Schmidhuber, 1997).
        dropout: share of each addition that is dropped while training.
    """

    def __init__(self, units: int, cell: str = "gru", dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"unknown cell {cell!r}: choose one of {sorted(CELLS)}")
        self.units, self.cell, self.rate = units, cell, dropout
        self.rnn = CELLS[cell](units, return_sequences=True)
        self.widen = keras.layers.Dense(4 * units, activation="gelu")
        self.narrow = keras.layers.Dense(units)
        self.norm_rnn = keras.layers.LayerNormalization()
        self.norm_dense = keras.layers.LayerNormalization()
        self.drop_rnn = keras.layers.Dropout(dropout)
        self.drop_dense = keras.layers.Dropout(dropout)

    def start(self, h0: Float[Tensor, "B d"]) -> list[Float[Tensor, "B d"]]:
        """Give the recurrent state before the first event: h0, and for an LSTM an empty memory."""
        return [h0] if self.cell == "gru" else [h0, ops.zeros_like(h0)]

    def call(
        self, x: Float[Tensor, "B T d"], h0: Float[Tensor, "B d"], training: bool | None = None
    ) -> Float[Tensor, "B T d"]:
        """Run over a whole sequence, from the first state `h0`."""
        rnn = self.rnn(x, initial_state=self.start(h0), training=training)
        return self._finish(x, rnn, training)

    def step(
        self, x: Float[Tensor, "B d"], state: list[Float[Tensor, "B d"]]
    ) -> tuple[Float[Tensor, "B d"], list[Float[Tensor, "B d"]]]:
        """Run over one event, and give the output and the next state."""
        rnn, state = self.rnn.cell(x, state)
        return self._finish(x, rnn, training=False), list(state)

    def _finish(
        self, x: Float[Tensor, "*n d"], rnn: Float[Tensor, "*n d"], training: bool | None
    ) -> Float[Tensor, "*n d"]:
        x = self.norm_rnn(x + self.drop_rnn(rnn, training=training))
        return self.norm_dense(x + self.drop_dense(self.narrow(self.widen(x)), training=training))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "cell": self.cell, "dropout": self.rate}


@keras.saving.register_keras_serializable("imtlib")
class Encoder(keras.layers.Layer):
    """Hidden states of a user's events, oldest first: one before the first event and one after each.

    Args:
        units: width d.
        layers: how many recurrent blocks stand on one another.
        cell: `"gru"` or `"lstm"`.
        dropout: share dropped while training.
    """

    def __init__(
        self, units: int, layers: int = 1, cell: str = "gru", dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.sizes = {"units": units, "layers": layers, "cell": cell, "dropout": dropout}
        self.norm = keras.layers.LayerNormalization()
        self.drop = keras.layers.Dropout(dropout)
        self.blocks = [RecurrentBlock(units, cell, dropout) for _ in range(layers)]

    def build(self, events_shape: Shape, profile_shape: Shape) -> None:
        """Make U, if there is a profile; the other layers build themselves."""
        self.has_profile = profile_shape[-1] != 0
        if self.has_profile:
            self.from_profile = keras.layers.Dense(self.sizes["units"], activation="tanh", use_bias=False)
            self.from_profile.build(profile_shape)

    def first(self, profile: Float[Tensor, "B P"]) -> Float[Tensor, "B d"]:
        """Compute $h_0 = \\tanh(U \\cdot \\text{profile})$; zero without a profile."""
        if not self.has_profile:
            return ops.zeros((ops.shape(profile)[0], self.sizes["units"]))
        return self.from_profile(profile)

    def call(
        self, events: Float[Tensor, "B T d"], profile: Float[Tensor, "B P"], training: bool | None = None
    ) -> Float[Tensor, "B T+1 d"]:
        """Encode whole sequences.

        Args:
            events: embedded events $e_t$, padded on the right.
            profile: one-hot of the given features; P may be 0.

        Returns:
            $h_0, h_1, \\dots, h_T$. $h_t$ depends on the events up to t alone, so padding on the right
            changes no state before it.
        """
        h0 = self.first(profile)
        x = self.drop(self.norm(events), training=training)
        for block in self.blocks:
            x = block(x, h0, training=training)
        return ops.concatenate([h0[:, None], x], axis=1)

    def start(
        self, profile: Float[Tensor, "B P"]
    ) -> tuple[Float[Tensor, "B d"], list[list[Float[Tensor, "B d"]]]]:
        """Give $h_0$ and the state of every block before the first event."""
        h0 = self.first(profile)
        return h0, [block.start(h0) for block in self.blocks]

    def step(
        self, event: Float[Tensor, "B d"], states: list[list[Float[Tensor, "B d"]]]
    ) -> tuple[Float[Tensor, "B d"], list[list[Float[Tensor, "B d"]]]]:
        """Go one event further: $e_t$ and the blocks' states give $h_t$ and the next states."""
        x, after = self.norm(event), []
        for block, state in zip(self.blocks, states, strict=True):
            x, state = block.step(x, state)
            after.append(state)
        return x, after

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), **self.sizes}
