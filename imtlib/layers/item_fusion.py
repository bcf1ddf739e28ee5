"""An item's vector from all that is known of it: its id, its words, numbers, interests and given vectors.

$$E_i = \\frac{\\sum_m g_m(i)\\, x_m(i)}{\\sqrt{\\sum_m g_m(i)^2}},
\\qquad g(i) = \\mathrm{softmax}_{m \\text{ shown}}\\big(a_m + v_m \\cdot x_m(i)\\big).$$

Only what is present of the item, and is not hidden, has a gate; the gates of an item sum to one. The root
keeps a row's length: vectors $x_m$ of length one that know nothing of each other give a row of length one,
however many there are. With a single modality the row is $x_m(i)$ itself. With nothing shown it is zero.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from jaxtyping import Float, Int
from keras import ops

from imtlib.data.item_features import Modalities
from imtlib.layers.ops import MASKED_SCORE
from imtlib.types import Tensor


@keras.saving.register_keras_serializable("imtlib")
class Bag(keras.layers.Layer):
    """The sum of the vectors of some codes over the root of their number, $\\sum_k w_{c_k} / \\sqrt n$.

    A mean would make long titles short vectors: the mean of n vectors that know nothing of each other has the
    length $1 / \\sqrt n$.

    Args:
        size: V, how many codes there are beside 0.
        units: width d.
    """

    def __init__(self, size: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = {"size": size, "units": units}
        scale = keras.initializers.RandomNormal(stddev=units**-0.5)
        self.table = self.add_weight(shape=(size, units), initializer=scale, name="table")
        self.built = True

    def call(self, codes: Int[Tensor, "N L"]) -> Float[Tensor, "N d"]:
        """Add up each row of codes, of which 0 is padding; zero without a code."""
        real = ops.cast(codes > 0, "float32")
        vectors = ops.take(self.table, ops.maximum(codes - 1, 0), axis=0) * real[..., None]
        count = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0)
        return ops.sum(vectors, axis=1) / ops.sqrt(count)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), **self.sizes}


@keras.saving.register_keras_serializable("imtlib")
class Reading(keras.layers.Layer):
    """A small network that reads a row of numbers, $x(i) = W_2\\,\\mathrm{gelu}(W_1 z_i)$.

    It has no bias, so that a row of zeros, which is a missing one, gives zero.

    Args:
        width: D, numbers an item.
        units: width d, of the hidden layer too.
    """

    def __init__(self, width: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = {"width": width, "units": units}

        def dense(scale: float, **more: Any) -> keras.layers.Dense:
            first = keras.initializers.RandomNormal(stddev=scale)
            return keras.layers.Dense(units, use_bias=False, kernel_initializer=first, **more)

        # So that entries of variance one give a vector of length about one.
        self.widen, self.narrow = dense((2 / width) ** 0.5, activation="gelu"), dense(1 / units)
        self.widen.build((None, width))
        self.narrow.build((None, units))
        self.built = True

    def call(self, rows: Float[Tensor, "N D"]) -> Float[Tensor, "N d"]:
        """Read every item's row."""
        return self.narrow(self.widen(rows))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), **self.sizes}


@keras.saving.register_keras_serializable("imtlib")
class FusedItems(keras.layers.Layer):
    """In place of an embedding of items: vectors fused from several modalities (多模态融合).

    What is known of the items is held as weights that are not learnt, so that a saved model is complete.

    Args:
        items: N.
        units: width d.
        bags: by name, L and V of each; see `imtlib.data.item_features.Modalities`.
        vectors: by name, D of each.
        language: what codes and numbers mean, `Modalities.language`; by default nothing is said of it.
    """

    def __init__(
        self,
        items: int,
        units: int,
        bags: Mapping[str, tuple[int, int]],
        vectors: Mapping[str, int],
        language: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sizes = {"items": items, "units": units}
        self.shapes: dict[str, Any] = {
            "bags": {k: list(v) for k, v in bags.items()},
            "vectors": dict(vectors),
            "language": language,
        }
        self.modalities = ("id", *bags, *vectors)
        many = len(self.modalities)
        scale = keras.initializers.RandomNormal(stddev=units**-0.5)
        self.own = self.add_weight(shape=(items, units), initializer=scale, name="own")
        self.readers: list[keras.layers.Layer] = [
            *(Bag(size, units, name=name) for name, (_, size) in bags.items()),
            *(Reading(width, units, name=name) for name, width in vectors.items()),
        ]
        self.direction = self.add_weight(shape=(many, units), initializer="zeros", name="direction")
        self.opening = self.add_weight(shape=(many,), initializer="zeros", name="opening_bias")

        def given(width: int, name: str, kind: str = "float32") -> Any:
            return self.add_weight(
                shape=(items, width), dtype=kind, initializer="ones", trainable=False, name=name
            )

        self.features = [
            *(given(length, f"of_{name}", "int32") for name, (length, _) in bags.items()),
            *(given(width, f"of_{name}") for name, width in vectors.items()),
        ]
        self.known, self.present, self.shown = given(1, "known"), given(many, "present"), given(many, "shown")
        self.built = True

    @classmethod
    def of(cls, modalities: Modalities, units: int) -> FusedItems:
        """Make the layer for given items, which holds what is known of them."""
        layer = cls(len(modalities.known), units, **modalities.shapes)
        given = (*modalities.bags.values(), *modalities.vectors.values())
        for feature, values in zip(layer.features, given, strict=True):
            feature.assign(values)
        layer.known.assign(modalities.known[:, None].astype(np.float32))
        layer.present.assign(modalities.present.astype(np.float32))
        layer.show(modalities.present)
        return layer

    def show(self, which: Any) -> None:
        """Show some modalities of some items, and hide the rest.

        Args:
            which: bool `(N, M)`, columns as in `modalities`. What an item does not have stays hidden.
        """
        self.shown.assign(np.asarray(which, np.float32) * np.asarray(self.present))

    def fingerprint(self) -> str:
        """Hash what is known of the items by SHA-256, in hex: equal exactly when it is the same."""
        digest = hashlib.sha256(json.dumps(self.shapes).encode())
        for weight in (*self.features, self.known, self.present):
            digest.update(np.asarray(weight).tobytes())
        return digest.hexdigest()

    @property
    def given(self) -> list[Any]:
        """The weights that are not learnt: what is known of the items, and what of it is shown."""
        return [*self.features, self.known, self.present, self.shown]

    @property
    def widths(self) -> dict[str, int]:
        """As `imtlib.data.item_features.Modalities.widths`."""
        return {**{name: size for name, (_, size) in self.shapes["bags"].items()}, **self.shapes["vectors"]}

    def parts(self) -> Float[Tensor, "N M d"]:
        """Compute $x_m(i)$ of every modality of every item."""
        contents = (read(feature) for read, feature in zip(self.readers, self.features, strict=True))
        return ops.stack([ops.convert_to_tensor(self.own), *contents], axis=1)

    def gates(self, parts: Float[Tensor, "N M d"]) -> Float[Tensor, "N M"]:
        """Compute $g_m(i)$ from $x_m(i)$; each row sums to one, or is zero."""
        logits = ops.where(
            self.shown > 0, self.opening + ops.sum(parts * self.direction, axis=-1), MASKED_SCORE
        )
        opened = self.shown * ops.exp(logits - ops.max(logits, axis=1, keepdims=True))
        return opened / ops.maximum(ops.sum(opened, axis=1, keepdims=True), 1e-37)

    @property
    def embeddings(self) -> Float[Tensor, "N d"]:
        """E, what each item is known by."""
        parts = self.parts()
        gates = self.gates(parts)
        # Of gates that sum to one, the squares sum to at least 1 / M.
        length = ops.sqrt(
            ops.maximum(ops.sum(gates**2, axis=1, keepdims=True), 1 / (len(self.modalities) + 1))
        )
        return ops.sum(gates[..., None] * parts, axis=1) / length

    def call(self, item: Int[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
        """Look codes up in E."""
        return ops.take(self.embeddings, item, axis=0)

    def bias(self, own: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Keep the biases of items whose id is shown; of the others give zero."""
        return own * self.shown[:, 0]

    def offered(self, bias: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Keep the biases of items on offer while the model learns; of the others give `MASKED_SCORE`.

        An item that nobody could choose would otherwise be the wrong answer to every question.
        """
        return ops.where(self.known[:, 0] > 0, bias, MASKED_SCORE)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), **self.sizes, **self.shapes}


def fused_items(
    items: int, units: int, modalities: Modalities | Mapping[str, Any] | None
) -> FusedItems | None:
    """Make the layer for modalities, or for their sizes alone, whose weights will follow; or none.

    Args:
        items: N, of the model's catalogue.
        units: width d.
        modalities: what is known of the items, or `Modalities.shapes`, or none.

    Raises:
        ValueError: the modalities describe another number of items.
    """
    if modalities is None:
        return None
    if not isinstance(modalities, Modalities):
        return FusedItems(items, units, **modalities)
    if len(modalities.known) != items:
        raise ValueError(
            f"the modalities describe {len(modalities.known):,} items, the catalogue holds {items:,}: "
            f"describe the log that the model is made for"
        )
    return FusedItems.of(modalities, units)
