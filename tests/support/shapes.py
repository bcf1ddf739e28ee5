"""The library imported so that shapes and dtypes in its annotations are checked while tests run."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook


def on_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check a call's annotations by beartype, unless it makes a graph: its sizes are not known yet."""
    checked = beartype(conf=BeartypeConf(is_pep484_tower=True))(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (checked if tf.executing_eagerly() else function)(*args, **kwargs)

    return call


def check_shapes(*modules: str) -> None:
    """Import modules, and all that they hold, with every function of theirs checked.

    Args:
        modules: their full names; none may have been imported before.
    """
    with install_import_hook(modules, f"{__name__}.on_numbers"):
        for name in modules:
            importlib.import_module(name)
    # Keras reads a layer's arguments off the code of its constructor, which must be its own.
    for layer in keras.saving.get_custom_objects().values():
        for part in inspect.getmro(layer):
            if hasattr(constructor := vars(part).get("__init__"), "__wrapped__"):
                part.__init__ = constructor.__wrapped__  # type: ignore[misc]
