"""First weights from counts: before it learns, a model already knows what is popular, and what goes together.

**Biases.** With few training targets a bias that begins at zero never gets as far as popularity, and what
rare items' random first vectors say of them stands unopposed. $b_i = \\ln(n_i + 1)$, less its mean, begins
there instead, as one does with classes of unlike size (Lin et al., Focal Loss for Dense Object Detection,
ICCV 2017, section 3.3).

**Vectors.** Rows that begin at random have to be moved there by training targets, and a rare item has few.
With $C_{ij}$ the sum of $1 / |t - u|$ over the pairs of places t and u of one history that hold i and j, at
most `REACH` apart, the rows begin as the leading singular vectors of

$$\\frac{C_{ij}}{\\sqrt{C_{i\\cdot}\\,C_{j\\cdot}}},$$

each times its singular value, brought to length one: what word embeddings learn, found in one step (Levy &
Goldberg, Neural Word Embedding as Implicit Matrix Factorization, NeurIPS 2014; the scaling is that of
spectral clustering: Ng, Jordan & Weiss, NeurIPS 2001).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from imtlib.data.log import BehaviourLog
from imtlib.layers.backend import stored_matrix
from imtlib.model import InterestMigrationModel

REACH = 10
"""How far apart two events of a history may be and still say that their items belong together."""
FIX = "Make the model with for_log() of this log, or carry it over to this catalogue."


def count_biases(
    model: InterestMigrationModel, log: BehaviourLog, target_mask: NDArray[np.bool_] | None = None
) -> None:
    """Let the item biases say how often each item was chosen; to be called before the model is fitted.

    Args:
        model: changed in place; only its `item_bias`, float `(N,)`, the log of a share.
        log: what is counted, of the model's catalogue, such as `split.train`.
        target_mask: which events count, bool `(events,)`; by default all.

    Raises:
        ModelFileError: the log's catalogue is not the model's.
        ValueError: `target_mask` has another shape.
    """
    model.catalogue.require_same(log.catalogue, "the model", "the log", FIX)
    if target_mask is not None and target_mask.shape != (len(log),):
        raise ValueError(
            f"target_mask has shape {target_mask.shape}, expected ({len(log)},): one for each event"
        )
    item = log.item if target_mask is None else log.item[target_mask]
    share = np.log1p(np.bincount(item, minlength=len(log.catalogue.items)))
    model.item_bias.assign((share - share.mean()).astype(np.float32))


def count_vectors(model: InterestMigrationModel, log: BehaviourLog) -> None:
    """Let items that are met near one another begin near one another; called before the model is fitted.

    Args:
        model: changed in place; of an item with several modalities, the vector of its id. An item that is
            near no other keeps the vector that it was drawn with.
        log: what is counted, of the model's catalogue, such as `split.train`.

    Raises:
        ModelFileError: the log's catalogue is not the model's.
        ValueError: the model is as wide as the catalogue is long, or no two items are met together.
    """
    model.catalogue.require_same(log.catalogue, "the model", "the log", FIX)
    table = stored_matrix(model.embedding.item) if model.fused is None else model.fused.own
    items, units = table.shape
    if units >= items:
        raise ValueError(f"{items} items give fewer than {units} vectors: choose fewer units")
    together = nearness(log)
    if not together.nnz:
        raise ValueError("no two items are met in one history: there is nothing to count")
    _, weight, right = svds(together, k=units, random_state=0)
    rows = right.T * weight
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    met = length > 1e-6
    table.assign(np.where(met, rows / np.where(met, length, 1.0), np.asarray(table)).astype(np.float32))


def nearness(log: BehaviourLog) -> sp.csr_array:
    """Compute $C_{ij} / \\sqrt{C_{i\\cdot} C_{j\\cdot}}$, float32 `(N, N)`, sparse; zero on the diagonal."""
    items = len(log.catalogue.items)
    total = sp.csr_array((items, items), dtype=np.float64)
    for apart in range(1, REACH + 1):
        same = log.user[apart:] == log.user[:-apart]
        pair = log.item[:-apart][same], log.item[apart:][same]
        total += sp.csr_array((np.full(len(pair[0]), 1 / apart), pair), shape=(items, items))
    total = total + total.T
    total.setdiag(0)
    total.eliminate_zeros()
    root = sp.diags_array(1 / np.sqrt(np.maximum(total.sum(axis=1), 1e-12)))
    return sp.csr_array(root @ total @ root, dtype=np.float32)
