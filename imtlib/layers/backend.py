"""What the layers and the model need of TensorFlow itself, and of what Keras keeps to itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from jaxtyping import Int, Shaped

from imtlib.data.inputs import Arrays
from imtlib.types import IntArray, Tensor


def signature(example: Arrays) -> dict[str, tf.TensorSpec]:
    """Specify what `inputs` gives, with the number and the length of histories left open: one graph for all.

    Args:
        example: what `inputs` gave, for any histories of the catalogue.

    Returns:
        A specification of each array; the width of the profile alone is fixed.
    """
    return {
        name: tf.TensorSpec(
            (None, values.shape[1]) if name == "profile" else (None,) * values.ndim, values.dtype
        )
        for name, values in example.items()
    }


def dataset(batches: Iterable[tuple[Arrays, IntArray]], count: int) -> tf.data.Dataset:
    """Make a data set of Keras' `fit` from batches that are drawn anew each time they are walked through.

    Args:
        batches: inputs and targets, such as `imtlib.training.batches.TrainingBatches`.
        count: how many there are, at least one.

    Returns:
        A data set of `count` elements, of whatever size; the next are made while a step is taken.
    """
    example, target = next(iter(batches))
    shapes = (signature(example), tf.TensorSpec((None,) * target.ndim, target.dtype))
    data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=shapes)
    # Nothing here is tuned, and at the end of each epoch the tuner keeps everything waiting, up to a minute.
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2).with_options(options)


# Looked for once, here, where its lines are kept quiet: see `imtlib.quiet`.
tf.config.list_physical_devices()

_used = False
_lost = False


def _note_fork() -> None:
    global _lost
    _lost = _used


os.register_at_fork(after_in_child=_note_fork)


def require_threads() -> None:
    """Refuse to work in a process forked from one where a model was used: TensorFlow would wait for ever.

    A fork has none of its parent's threads, and TensorFlow, once begun, leaves its work to them.

    Raises:
        RuntimeError: this process is such a fork.
    """
    global _used
    if _lost:
        raise RuntimeError(
            "this process was forked from one that has used a model, and has none of TensorFlow's threads: "
            "start workers with multiprocessing.get_context('spawn'), or fork before any model is made"
        )
    _used = True


def compiled(function: Callable[..., Any], example: Arrays | None = None) -> Callable[..., Any]:
    """Make a graph of a function, which must change nothing.

    Args:
        function: of tensors, or of one batch.
        example: a batch such as it will be given; one graph then serves every size of it.
    """
    # Partials, since of a method TensorFlow adds up the tracings of all models, and warns at the fifth.
    wanted = None if example is None else [signature(example)]
    # Control flow is Keras' or TensorFlow's own: AutoGraph would look for it in Python, and find none.
    graph = tf.function(partial(function), input_signature=wanted, autograph=False)

    def guarded(*tensors: Any) -> Any:
        require_threads()
        return graph(*tensors)

    return guarded


def shared_graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a graph of a function that is called many times within another graph, and trace it once.

    Args:
        function: of tensors, or of tuples of tensors, whose shapes are the same at every call.
    """
    shared: Callable[..., Any] = tf.function(function, autograph=False)
    return shared


def at_positions(values: Shaped[Tensor, "B L *w"], position: Int[Tensor, " B *k"]) -> Shaped[Tensor, " ..."]:
    """Take `values` at positions of the second axis, as many as wanted for each row: `(B, *k, *w)`."""
    return tf.gather(values, position, batch_dims=1)


def as_tensor(weight: Any) -> Tensor:
    """Read a variable as a tensor, so that gradients are taken with respect to what was read.

    Keras' own conversion hands on the variable itself: the gradient of a custom rule would not be ours.
    """
    return tf.convert_to_tensor(weight)


def stored_matrix(layer: keras.layers.Layer) -> keras.Variable:
    """Give the matrix that a dense layer or an embedding stores, without adapters that are added to it."""
    return layer._embeddings if isinstance(layer, keras.layers.Embedding) else layer._kernel


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Walk through a model and every layer within it, in Keras' order."""
    yield from model._flatten_layers()
