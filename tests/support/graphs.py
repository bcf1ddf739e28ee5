"""Graphs of models that no test uses any more are let go, so that a worker's memory stays bounded."""

from __future__ import annotations

import gc

from tensorflow.python.framework import ops

PREFIX = "CustomGradient-"
MOST = 12
"""Gradients that may wait: those of some three models, about a quarter of a gigabyte."""


def let_graphs_go() -> None:
    """Drop gradients of traced graphs once there are many, and the graphs with them.

    TensorFlow registers the gradient of a function under `tf.custom_gradient` anew for each graph that it is
    traced in, and keeps it, the graph and what that holds as long as the process runs. It asks for it when a
    gradient is traced; `fit` traces its own within one call, so what is dropped between two tests is not
    asked for again.
    """
    registered = ops.gradient_registry._registry
    waiting = [name for name in registered if name.startswith(PREFIX)]
    if len(waiting) > MOST:
        for name in waiting:
            del registered[name]
        gc.collect()
