"""Types that every room of the library shares: tensors of Keras, arrays of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = Any
"""A tensor of the Keras backend, or an array that it reads as one."""
Shape = tuple[int | None, ...]
"""Of tensors, as Keras tells it to a layer that is built; None where it is not known yet."""

BoolArray = NDArray[np.bool_]
"""Truth values: masks, and which item has which interest."""
IntArray = NDArray[np.int32]
"""Codes: the places of names in a catalogue's tuples."""
TimeArray = NDArray[np.int64]
"""Seconds since 1970 (UTC), and rows of a table of events."""
Float32Array = NDArray[np.float32]
"""What a model computes."""
FloatArray = NDArray[np.float64]
"""What is computed by hand."""
ScoreArray = NDArray[np.floating[Any]]
"""Scores and probabilities, of either width."""
