"""Biases from counts: before it learns, a model already knows what is popular.

With few lessons a bias that begins at zero never gets as far as popularity, and what rare items' random first
vectors say of them stands unopposed. $b_i = \\ln(n_i + 1)$, less its mean, begins there instead, as one does
with classes of unlike size (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, section 3.3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imtlib.data.log import BehaviourLog
from imtlib.errors import ModelFileError
from imtlib.model import InterestMigrationModel


def count_biases(
    model: InterestMigrationModel, log: BehaviourLog, lessons: NDArray[np.bool_] | None = None
) -> None:
    """Let the item biases say how often each item was chosen; to be called before the model is fitted.

    Args:
        model: changed in place; only its `item_bias`, float `(N,)`, the log of a share.
        log: what is counted, of the model's catalogue, such as `split.train`.
        lessons: which events count, bool `(events,)`; by default all.

    Raises:
        ModelFileError: the log's catalogue is not the model's.
        ValueError: `lessons` has another shape.
    """
    if log.catalogue.fingerprint != model.catalogue.fingerprint:
        raise ModelFileError(
            "the log's catalogue is not the model's, so its counts are of other items. Make the model with "
            "for_log() of this log, or carry it over to this catalogue."
        )
    if lessons is not None and lessons.shape != (len(log),):
        raise ValueError(f"lessons has shape {lessons.shape}, expected ({len(log)},): one for each event")
    item = log.item if lessons is None else log.item[lessons]
    share = np.log1p(np.bincount(item, minlength=len(log.catalogue.items)))
    model.item_bias.assign((share - share.mean()).astype(np.float32))
