"""Baselines that learn: a recurrent network without attention, and self-attention without recurrence.

Both read items and their order alone, end in a softmax over the whole catalogue that is tied to the item
embeddings, and are fitted by `imtlib.training.trainer.fit` like the model itself: same batches, same full
cross-entropy at every real position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, Self

import keras
import numpy as np
from keras import ops

from imtlib.config import Count, PartialShare, check, check_heads, configured
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories, nobody
from imtlib.data.inputs import by_length, inputs
from imtlib.data.log import BehaviourLog
from imtlib.encoding import read
from imtlib.layers.backend import as_tensor, at_positions, compiled, require_threads
from imtlib.layers.gru import GRU
from imtlib.layers.ops import real_events
from imtlib.lists import recommend
from imtlib.losses.joint import direct_loss
from imtlib.prediction import item_logits
from imtlib.types import Float32Array, Tensor


@dataclass(frozen=True)
class SequenceConfig:
    """Arguments of `SequenceBaseline` beside its catalogue, with their defaults.

    Attributes:
        encoder: `"gru"` (`RecurrentStates`) or `"sasrec"` (`SelfAttentiveStates`).
        units: width d.
        layers: of the encoder.
        heads: of self-attention; must divide `units`.
        dropout: share dropped while training, from 0 to below 1.
        max_length: how many of a history's last events are read.
        given_interests: whether it knows which interests an item has.

    Raises:
        TypeError: a value is of another type.
        ValueError: a value is none of the choices or out of range, or `heads` does not divide `units`.
    """

    encoder: Literal["gru", "sasrec"] = "sasrec"
    units: Count = 64
    layers: Count = 2
    heads: Count = 1
    dropout: PartialShare = 0.2
    max_length: Count = 200
    given_interests: bool = False

    def __post_init__(self) -> None:
        check(self)
        check_heads(self.units, self.heads)


@keras.saving.register_keras_serializable("imtlib")
class RecurrentStates(keras.layers.Layer):
    """GRUs on one another (GRU4Rec: Hidasi et al., ICLR 2016; here with the full cross-entropy).

    Args:
        units: width d.
        layers: how many GRUs.
        dropout: share of each GRU's input that is dropped while training.
    """

    def __init__(self, units: int, layers: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # As for self-attention below: tied embeddings begin small, and GRUs that see next to nothing learn
        # nothing for epochs.
        self.scale = units**0.5
        self.drops = [keras.layers.Dropout(dropout) for _ in range(layers)]
        self.grus = [GRU(units, return_sequences=True) for _ in range(layers)]

    def call(self, x: Tensor, real: Tensor, training: bool | None = None) -> Tensor:
        """Encode embedded items, float `(B, T, d)`, as states of the same shape; `real` is not needed."""
        x = x * self.scale
        for drop, gru in zip(self.drops, self.grus, strict=True):
            x = gru(drop(x, training=training))
        return x


@keras.saving.register_keras_serializable("imtlib")
class SelfAttentiveStates(keras.layers.Layer):
    """Blocks of causal self-attention (SASRec: Kang & McAuley, ICDM 2018), as its authors' code has them.

    $$Q = \\operatorname{norm}(x), \\qquad a = \\operatorname{norm}(Q + \\operatorname{attention}(Q, x, x)),$$

    $$x \\leftarrow a + W_2 \\operatorname{relu}(W_1 a).$$

    Past attention goes the normalised query, and the keys and values are not normalised.

    Args:
        units: width d.
        layers: how many blocks.
        heads: of each attention.
        dropout: share dropped while training.
        max_length: positions that have an embedding.
    """

    def __init__(
        self, units: int, layers: int, heads: int, dropout: float, max_length: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scale = units**0.5

        def small() -> keras.initializers.Initializer:
            # So that a block changes little of what passes it by, at first.
            return keras.initializers.RandomNormal(stddev=0.02)

        self.position = keras.layers.Embedding(max_length, units, embeddings_initializer=small())
        self.drop = keras.layers.Dropout(dropout)
        self.norms = [keras.layers.LayerNormalization(epsilon=1e-8) for _ in range(2 * layers + 1)]
        self.attentions = [
            keras.layers.MultiHeadAttention(
                heads, units // heads, dropout=dropout, kernel_initializer=small()
            )
            for _ in range(layers)
        ]
        self.inner = [
            keras.layers.Dense(units, activation="relu", kernel_initializer=small()) for _ in range(layers)
        ]
        self.outer = [keras.layers.Dense(units, kernel_initializer=small()) for _ in range(layers)]
        self.drops = [keras.layers.Dropout(dropout) for _ in range(2 * layers)]

    def call(self, x: Tensor, real: Tensor, training: bool | None = None) -> Tensor:
        """Encode embedded items, float `(B, T, d)`, as states of the same shape; `real` is not needed."""
        x = self.drop(x * self.scale + self.position(ops.arange(ops.shape(x)[1])), training=training)
        for k, attention in enumerate(self.attentions):
            asked = self.norms[2 * k](x)
            heard = attention(asked, x, use_causal_mask=True, training=training)
            x = self.norms[2 * k + 1](asked + heard)
            wide = self.drops[2 * k](self.inner[k](x), training=training)
            x = x + self.drops[2 * k + 1](self.outer[k](wide), training=training)
        return self.norms[-1](x)


@keras.saving.register_keras_serializable("imtlib")
class SequenceBaseline(keras.Model):
    """Item embeddings, an encoder of their order, and a softmax over items tied to the embeddings.

    $$p(i) = \\operatorname{softmax}_i(E\\,h_T + b), \\qquad h_0 = 0.$$

    Given the interests, an item's embedding is its own plus the mean of those of its interests, where it is
    read and where it is scored.

    Args:
        catalogue: the names it speaks of; or the same as plain lists.
        config: everything else that can be chosen; by default the defaults.
        settings: fields of the configuration by name, in place of those of `config`.

    Attributes:
        catalogue, config: as given, complete.
        max_length: how many of a history's last events are read.

    Raises:
        TypeError: the configuration has no such field, or a value is of another type.
        ValueError: as `SequenceConfig` raises it.
    """

    fused = None
    """An item is known by its id alone, and has no modality that could be hidden."""

    def __init__(
        self,
        catalogue: Catalogue | Mapping[str, Any],
        config: SequenceConfig | None = None,
        **settings: Any,
    ) -> None:
        require_threads()
        super().__init__()
        self.config = chosen = configured(SequenceConfig, config, settings)
        self.catalogue = catalogue if isinstance(catalogue, Catalogue) else Catalogue.unpack(catalogue)
        self.max_length, units = chosen.max_length, chosen.units
        items, interests = self.catalogue.item_interests.shape
        self.item = keras.layers.Embedding(items, units, embeddings_initializer="glorot_normal")
        self.item.build()
        if chosen.given_interests:
            held = self.catalogue.item_interests.astype(np.float32)
            self._share = ops.convert_to_tensor(held / held.sum(axis=1, keepdims=True))
            self.interest = self.add_weight(shape=(interests, units), initializer="zeros", name="interest")
        if chosen.encoder == "gru":
            self.encoder = RecurrentStates(units, chosen.layers, chosen.dropout)
        else:
            self.encoder = SelfAttentiveStates(
                units, chosen.layers, chosen.heads, chosen.dropout, chosen.max_length
            )
        self.item_bias = self.add_weight(shape=(items,), initializer="zeros", name="item_bias")
        example = inputs(nobody(self.catalogue), self.max_length)
        self._ends_graph = compiled(self._ends, example)
        self(example)

    @classmethod
    def for_log(cls, log: BehaviourLog, config: SequenceConfig | None = None, **settings: Any) -> Self:
        """Make a baseline for the items of a log; arguments as the constructor has them."""
        return cls(log.catalogue, config, **settings)

    @property
    def learns_positions(self) -> bool:
        """Whether each position has weights of its own, which a window must reach to train them."""
        return self.config.encoder == "sasrec"

    def call(self, batch: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Encode a batch of `imtlib.data.inputs.inputs`: $h_0, \\dots, h_T$, float `(B, T + 1, d)`."""
        embedded = read(partial(ops.take, self.table(), axis=0), batch["item"])
        states = self.encoder(embedded, real_events(batch), training=training)
        return ops.pad(states, ((0, 0), (1, 0), (0, 0)))

    def table(self) -> Tensor:
        """Give E, what an item is known by, float `(N, d)`."""
        own = as_tensor(self.item.embeddings)
        return own + ops.matmul(self._share, self.interest) if self.config.given_interests else own

    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """Compute the mean −log p of the next item, nats: `y` `(B, T + 1)`, −1 where nothing is learnt."""
        return direct_loss(x, y, y_pred, self.table(), as_tensor(self.item_bias))

    def _ends(self, batch: dict[str, Tensor]) -> Tensor:
        last = at_positions(self(batch), batch["length"])
        return ops.log_softmax(item_logits(last, self.table(), self.item_bias))

    def score(self, histories: Histories, batch: int = 256) -> Float32Array:
        """Score the next item by log p, float32 `(n, N)`; `batch` histories are worked on at a time.

        Raises:
            ModelFileError: the histories' catalogue is not the model's.
        """
        fix = "Make the baseline for this log."
        self.catalogue.require_same(histories.catalogue, "the model", "the histories", fix)
        scores = np.empty((len(histories), len(self.catalogue.items)), np.float32)
        for rows in by_length(histories, batch):
            scores[rows] = self._ends_graph(inputs(histories.take(rows), self.max_length))
        return scores

    recommend = recommend

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments, the catalogue as plain lists."""
        return {"catalogue": self.catalogue.pack(), **asdict(self.config)}
