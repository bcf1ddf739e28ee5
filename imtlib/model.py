"""The five steps composed: encoding, attention, prediction, transition, recommendation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from imtlib.attention import ATTENTIONS
from imtlib.config import FORMAT, ModelConfig, configured, settings_of
from imtlib.data.atomic import whole
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories, nobody
from imtlib.data.inputs import GAP_BUCKETS, by_length, inputs
from imtlib.data.item_features import Modalities
from imtlib.data.log import BehaviourLog
from imtlib.encoding import Encoder, EventEmbedding, read
from imtlib.errors import require_kind
from imtlib.layers.backend import as_tensor, at_positions, compiled, require_threads
from imtlib.layers.item_fusion import FusedItems, fused_items
from imtlib.layers.ops import real_events
from imtlib.layers.scenario_sharing import SHARINGS
from imtlib.lists import recommend
from imtlib.losses.joint import ScoredItems, joint_loss
from imtlib.prediction import InterestPoints, ItemQuery, item_logits
from imtlib.recommendation import items_through_interests, log_partition
from imtlib.transition import SMALL, CurrentInterest, MigrationMatrix, mix_rows
from imtlib.types import Float32Array, Tensor
from imtlib.vectors import item_vectors, user_vectors


@keras.saving.register_keras_serializable("imtlib")
class InterestMigrationModel(keras.Model):
    """The attention-based multi-scenario interest migration model (基于注意力机制的多场景兴趣迁移模型).

    Args:
        catalogue: the names it speaks of; or the same as plain lists, as a saved model holds them.
        modalities: what is known of each item beside its id (`imtlib.data.item_features.describe`); or the
            sizes alone, as a saved model holds them. By default an item is known by its id and its interests.
        config: everything else that can be chosen; by default the defaults.
        settings: fields of the configuration by name, in place of those of `config`.

    Attributes:
        catalogue, config, max_length: as given, complete.

    Raises:
        TypeError, ValueError: as `imtlib.config.ModelConfig` has them, or modalities are of other items.
    """

    learns_positions = False
    """No position has weights of its own: windows may be shorter than the histories that are scored."""

    def __init__(
        self,
        catalogue: Catalogue | Mapping[str, Any],
        modalities: Modalities | Mapping[str, Any] | None = None,
        config: ModelConfig | None = None,
        **settings: Any,
    ) -> None:
        require_threads()
        super().__init__()
        self.catalogue = catalogue if isinstance(catalogue, Catalogue) else Catalogue.unpack(catalogue)
        self.config = chosen = configured(ModelConfig, config, settings)
        self.max_length = chosen.max_length
        units, dropout = chosen.units, chosen.dropout
        names = self.catalogue
        items, interests = names.item_interests.shape
        fused = fused_items(items, units, modalities)
        self.embedding = EventEmbedding(items, len(names.scenarios), len(names.behaviours), units, fused)
        self.encoder = Encoder(units, chosen.layers, chosen.cell, dropout)
        self.attention = ATTENTIONS[chosen.attention](units, chosen.heads)
        self.interest_points = InterestPoints(interests)
        self.item_query = ItemQuery(units, dropout)
        self.current_interest = CurrentInterest(interests)
        self.migration_matrix = MigrationMatrix(interests, len(names.scenarios), chosen.rank)
        if chosen.successors:
            # The first row is for no item yet.
            self.successors = keras.layers.Embedding(items + 1, units, embeddings_initializer="zeros")
        if chosen.use_request_time:
            self.request_gap = keras.layers.Embedding(GAP_BUCKETS, units, embeddings_initializer="zeros")
        # The last of the layers: before the others it would change the seeds of their dropout.
        self.sharing = SHARINGS[chosen.sharing](len(names.scenarios), units)
        self.item_bias = self.add_weight(shape=(items,), initializer="zeros", name="item_bias")
        self._item_interests = ops.convert_to_tensor(names.item_interests.astype(np.float32))
        self._few = int(names.known_interests.sum(axis=1).max(initial=1))
        self._possible = ops.convert_to_tensor(names.known_interests)
        example = inputs(nobody(names), self.max_length)
        self._ends_graph = compiled(self._ends, example)
        self(example)
        # The direct softmax never asks them: Keras need not look for their gradients.
        self.current_interest.trainable = self.migration_matrix.trainable = chosen.through_interests

    @classmethod
    def for_log(cls, log: BehaviourLog, modalities: Modalities | None = None, **chosen: Any) -> Self:
        """Make a model for the items, scenarios and interests of a log; the rest as the constructor."""
        require_kind(log, BehaviourLog, "give what read_log or load_dataset returns, or split.train")
        return cls(log.catalogue, modalities, **chosen)

    @property
    def fused(self) -> FusedItems | None:
        """The layer that fuses modalities; none if an item is known by its id alone."""
        return self.embedding.item if isinstance(self.embedding.item, FusedItems) else None

    def biases(self) -> Tensor:
        """Give b, how often each item is chosen whatever came before, float `(N,)`: see `FusedItems.bias`."""
        own = as_tensor(self.item_bias)
        return own if self.fused is None else self.fused.bias(own)

    def call(self, batch: dict[str, Tensor], training: bool | None = None) -> dict[str, Tensor]:
        """Run the five steps at every position.

        Args:
            batch: as `imtlib.data.inputs.inputs` makes it.

        Returns:
            At positions 0 (before any event) to T: `state` and `context` `(B, T + 1, d)`,
            `interest_logits` `(B, T + 1, K)`, `belief` `(B, T + 1, K + 1)`, `matrix`
            `(B, T + 1, K + 1, K)`, `next_interest` `(B, T + 1, K)` and `query` `(B, T + 1, d)`.
            Positions beyond a row's length hold nothing of meaning.
        """
        state = self.states(batch, training)
        return self._heads(state, self.attention(state, real_events(batch)), batch, training)

    def states(self, batch: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Encode a batch of `imtlib.data.inputs.inputs`: $h_0, \\dots, h_T$, float `(B, T + 1, d)`."""
        events = self.embedding(batch["item"], batch["scenario"], batch["behaviour"], batch["gap"])
        return self.encoder(events, self.used_profile(batch["profile"]), training=training)

    def used_profile(self, profile: Tensor) -> Tensor:
        """Take the part of a profile `(B, P)` that the model reads: all of it, or `(B, 0)`."""
        return profile if self.config.use_profile else profile[:, :0]

    def _heads(
        self, state: Tensor, context: Tensor, batch: Mapping[str, Tensor], training: bool | None = None
    ) -> dict[str, Tensor]:
        item, request_scenario = batch["item"], batch["request_scenario"]
        if self.config.use_request_time:
            state = state + self.request_gap(batch["request_gap"])
        state = self.sharing(state, request_scenario)
        interest_logits = self.interest_points(context, state)
        held = read(partial(ops.take, self._possible, axis=0), item)
        belief = self.current_interest(state, held, ops.sigmoid(interest_logits))
        seen = ops.concatenate([context, state], -1) if self.config.matrix_from_state else context
        matrix = self.migration_matrix(seen, request_scenario)
        if matrix.shape[-1] <= SMALL:
            next_interest = mix_rows(belief, matrix)
        else:
            # A graph that is not asked for the matrix leaves it out: while a model learns, none is made.
            next_interest = self.migration_matrix.mixed(belief, seen, request_scenario, self._few)
        followed = state
        if self.config.successors:
            followed = state + self.successors(ops.pad(item + 1, ((0, 0), (1, 0))))
        return {
            "state": state,
            "context": context,
            "interest_logits": interest_logits,
            "belief": belief,
            "matrix": matrix,
            "next_interest": next_interest,
            "query": self.item_query(context, followed, training=training),
        }

    def item_scores(self, query: Tensor, next_interest: Tensor) -> dict[str, Tensor]:
        """Score every item.

        Args:
            query: float `(n, d)`.
            next_interest: float `(n, K)`.

        Returns:
            `log_p`, float `(n, N)`; and, of a model that goes through interests, `log_z`, the logarithm of
            $Z_{y'}$, float `(n, K)`.
        """
        logits = item_logits(query, self.embedding.item.embeddings, self.biases())
        if not self.config.through_interests:
            return {"log_p": ops.log_softmax(logits, axis=-1)}
        log_p = items_through_interests(logits, next_interest, self._item_interests)
        return {"log_p": log_p, "log_z": log_partition(logits, self._item_interests)}

    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """Compute the joint loss: −log p of the next item, plus weighted cross-entropy of coming interests.

        Args:
            x: the batch; with `negatives` in it, a sample of the catalogue stands for the whole.
            y: the next item at each position, codes, int `(B, T + 1)`; −1 where nothing is to be learnt.
            y_pred: what `call` returned.
            sample_weight, training: not used.

        Returns:
            A scalar, in nats. Only real positions are scored.
        """
        bias = self.biases() if self.fused is None else self.fused.offered(self.biases())
        items = ScoredItems(as_tensor(self.embedding.item.embeddings), bias, self._item_interests)
        return joint_loss(x, y, y_pred, items, self.config)

    def _ends(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What `ends` returns, of a batch."""
        state = self.states(batch)
        length = batch["length"]
        # The belief at an item of unknown interest looks one position back: two positions are enough.
        pair = ops.stack([ops.maximum(length - 1, 0), length], axis=1)
        return self.ends(
            at_positions(state, pair),
            self.attention.at(state, real_events(batch), pair),
            at_positions(batch["item"], pair[:, :1]),
            at_positions(batch["request_scenario"], pair),
            at_positions(batch["request_gap"], pair),
            length,
        )

    def ends(
        self,
        state: Tensor,
        context: Tensor,
        item: Tensor,
        request_scenario: Tensor,
        request_gap: Tensor,
        length: Tensor,
    ) -> dict[str, Tensor]:
        """Run the steps after attention at a history's last position, from that and the one before it.

        Args:
            state, context: at the two positions, float `(B, 2, d)`.
            item: of the last event, codes, int `(B, 1)`.
            request_scenario, request_gap: codes at the two positions, int `(B, 2)`.
            length: events of each history, int `(B,)`; of an empty one the first position is taken.

        Returns:
            `call`'s outputs but the matrix, every part `(B, …)`, and those of `item_scores`.
        """
        asked = {"item": item, "request_scenario": request_scenario, "request_gap": request_gap}
        two = self._heads(state, context, asked)
        last = ops.cast(length > 0, "int32")[:, None]
        # The matrix is the one large part: `outputs` makes it if it is asked for.
        ends = {name: at_positions(two[name], last)[:, 0] for name in two if name != "matrix"}
        return {**ends, **self.item_scores(ends["query"], ends["next_interest"])}

    def outputs(
        self, histories: Histories, names: tuple[str, ...], batch: int = 256
    ) -> dict[str, Float32Array]:
        """Compute chosen outputs of the five steps at each history's end.

        Args:
            histories: n histories, of a catalogue equal to the model's.
            names: of the outputs of `call` and `item_scores`.
            batch: histories worked on at a time.

        Returns:
            float32 arrays `(n, …)`, by name.

        Raises:
            ModelFileError: the histories' catalogue is not the model's.
        """
        fix = "Make the model with for_log() of this log, or bring the histories over with in_catalogue()."
        self.catalogue.require_same(histories.catalogue, "the model", "the histories", fix)
        parts: dict[str, list[Float32Array]] = {name: [] for name in names}
        rows = list(by_length(histories, batch))
        for chosen in rows:
            ends = self._ends_graph(inputs(histories.take(chosen), self.max_length))
            if "matrix" in names:
                seen = [ends["context"], ends["state"]][: 1 + self.config.matrix_from_state]
                where = histories.request_scenario[chosen]
                ends["matrix"] = self.migration_matrix(ops.concatenate(seen, -1), where)
            for name in names:
                parts[name].append(np.asarray(ends[name], np.float32))
        back = np.argsort(np.concatenate(rows)) if rows else np.zeros(0, np.int64)
        return {name: np.concatenate(values)[back] for name, values in parts.items()}

    def score(self, histories: Histories) -> Float32Array:
        """Score the next item by log p, float32 `(n, N)`: each row over the whole catalogue, in its order."""
        return self.outputs(histories, ("log_p",))["log_p"]

    recommend = recommend
    item_vectors = item_vectors
    user_vectors = user_vectors

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse Keras' way to evaluate, which knows no requests."""
        raise NotImplementedError("give the model to imtlib.evaluate(model, split.test)")

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse Keras' way to export: what is read and what is written are names, not tensors."""
        raise NotImplementedError("save the model, model.save('model.keras'), and read it with load_model")

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
        """Save weights, settings and catalogue in Keras' format; no user is named in it.

        Args:
            filepath: ends in `.keras`. The file appears atomically, when it is whole.
            overwrite: whether a file of this name may be replaced.
            kwargs: as Keras has them.

        Raises:
            FileExistsError: the file exists and `overwrite` is false.
            FileNotFoundError: there is no such folder.
            ValueError: the name does not end in `.keras`.
        """
        path = Path(filepath)
        if path.suffix != ".keras":
            raise ValueError(f"a model's file ends in .keras, not {path.name!r}")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {path.parent} to save {path.name} in: make it first")
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists: choose another name, or overwrite=True")
        with whole(path) as fresh:
            super().save(fresh, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments, the catalogue as plain lists."""
        known = {} if self.fused is None else {"modalities": self.fused.shapes}
        return {"format": FORMAT, "catalogue": self.catalogue.pack(), **known, **asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the model of a saved configuration, with fresh weights.

        Raises:
            ModelFileError: the configuration is of another format.
        """
        return cls(**settings_of(config, "the saved model"))
