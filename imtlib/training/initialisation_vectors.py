"""Item vectors from counts: before it learns, a model already knows which items are met near one another.

Rows that begin at random have to be moved there by lessons, and a rare item has few. With $C_{ij}$ the sum of
$1 / |t - u|$ over the pairs of places t and u of one history that hold i and j, at most `REACH` apart, the
rows begin as the leading singular vectors of

$$\\frac{C_{ij}}{\\sqrt{C_{i\\cdot}\\,C_{j\\cdot}}},$$

each times its singular value, brought to length one: what word embeddings learn, found at one stroke (Levy &
Goldberg, Neural Word Embedding as Implicit Matrix Factorization, NeurIPS 2014; the scaling is that of
spectral clustering: Ng, Jordan & Weiss, NeurIPS 2001).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from imtlib.data.log import BehaviourLog
from imtlib.errors import ModelFileError
from imtlib.model import InterestMigrationModel

REACH = 10
"""How far apart two events of a history may be and still say that their items belong together."""
Float32 = NDArray[np.float32]


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
    if log.catalogue.fingerprint != model.catalogue.fingerprint:
        raise ModelFileError(
            "the log's catalogue is not the model's, so its counts are of other items. Make the model with "
            "for_log() of this log, or carry it over to this catalogue."
        )
    table = model.embedding.item._embeddings if model.fused is None else model.fused.own
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
    """$C_{ij} / \\sqrt{C_{i\\cdot} C_{j\\cdot}}$, float32 `(N, N)`, sparse; zero for an item and itself."""
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
