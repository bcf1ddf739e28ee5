"""What the peers are handed: the very same integer arrays, and first weights in PyTorch's layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imtlib.baselines.sequential import SequenceBaseline
from imtlib.data.histories import EvaluationSet, Histories
from imtlib.data.inputs import Arrays, inputs
from imtlib.data.log import BehaviourLog
from imtlib.model import InterestMigrationModel
from imtlib.training.batches import TrainingBatches
from imtlib.types import IntArray

Model = InterestMigrationModel | SequenceBaseline
Weights = dict[str, NDArray[np.float32]]
READ = ("item", "scenario", "behaviour", "gap", "length")
"""Of a batch, what the peers read."""


def keep_batches(batches: Iterable[tuple[Arrays, IntArray]], path: Path) -> str:
    """Write batches and their targets to a file for the peers; returns its name."""
    held: dict[str, Any] = {}
    for place, (arrays, target) in enumerate(batches):
        held |= {f"{place}.{name}": arrays[name] for name in READ}
        held[f"{place}.target"] = target
    np.savez(path, **held)
    return str(path)


def padded_batch(log: BehaviourLog, length: int, epoch: int = 0) -> tuple[Arrays, IntArray]:
    """All users of a log as one batch, padded on the right to one length, as public recipes have them.

    Args:
        log: the training part.
        length: T; of a user with more than T + 1 events, a window at a random place counts, as for ours.
        epoch: which windows.

    Returns:
        The arrays `(U, T)`, and the targets `(U, T + 1)`; −1 where there is nothing to learn.
    """
    every = TrainingBatches(log, len(log.users), length + 1, seed=0)
    every.epoch = epoch
    ((arrays, target),) = every
    wider = ((0, 0), (0, length - arrays["item"].shape[1]))
    filled = {name: np.pad(arrays[name], wider) for name in READ if name != "length"}
    return {**filled, "length": arrays["length"]}, np.pad(target, wider, constant_values=-1)


def keep_validation(part: EvaluationSet, max_length: int, path: Path) -> str:
    """Write the requests of a part, padded, with all the items that each user has seen; returns the name."""
    histories: Histories = part.histories
    arrays = inputs(histories, max_length)
    held: dict[str, Any] = {f"0.{name}": arrays[name] for name in READ}
    held |= {"0.target": part.target, "0.seen_starts": histories.starts, "0.seen_item": histories.item}
    np.savez(path, **held)
    return str(path)


def sizes(model: Model) -> dict[str, Any]:
    """What the peer must know to make the same model."""
    names = model.catalogue
    chosen = ("units", "layers", "heads", "dropout", "max_length", "window", "interest_loss_weight")
    return {
        **{name: value for name, value in asdict(model.config).items() if name in chosen},
        "item": len(names.items),
        "scenario": len(names.scenarios),
        "behaviour": len(names.behaviours),
        "gap": 32,
        "interests": len(names.interests),
    }


def keep_weights(model: Model, path: Path) -> str:
    """Write a model's weights in the layout of `torch_models.py`; returns the file's name."""
    found = gru_weights(model) if isinstance(model, InterestMigrationModel) else sasrec_weights(model)
    held: dict[str, Any] = {name: np.ascontiguousarray(value) for name, value in found.items()}
    np.savez(path, **held)
    return str(path)


def _array(variable: Any) -> NDArray[np.float32]:
    return np.asarray(variable, np.float32)


def _dense(name: str, layer: Any) -> Weights:
    bias = {f"{name}.bias": _array(layer.bias)} if layer.use_bias else {}
    return {f"{name}.weight": _array(layer.kernel).T, **bias}


def _norm(name: str, layer: Any) -> Weights:
    return {f"{name}.weight": _array(layer.gamma), f"{name}.bias": _array(layer.beta)}


def _gates(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keras has update, reset and candidate side by side; PyTorch has reset, update and candidate."""
    update, reset, candidate = np.split(values, 3, axis=-1)
    return np.concatenate([reset, update, candidate], axis=-1)


def gru_weights(model: InterestMigrationModel) -> Weights:
    """The weights of a direct model of one GRU layer with constant queries, for `GruAttention`.

    Raises:
        ValueError: the model is another.
    """
    wanted = {"layers": 1, "cell": "gru", "attention": "constant", "through_interests": False}
    other = [name for name, value in wanted.items() if getattr(model.config, name) != value]
    if other or model.config.use_profile or model.config.use_request_time:
        raise ValueError(f"the peer has no such model: {', '.join(other) or 'an input'} differs")
    block, tables = model.encoder.blocks[0], model.embedding
    kernel, recurrent, bias = (_gates(_array(value)) for value in block.rnn.cell.weights)
    attention, query = model.attention, model.item_query
    return {
        **{f"{n}.weight": _array(getattr(tables, n).embeddings) for n in READ[:4]},
        **_norm("norm", model.encoder.norm),
        "gru.weight_ih_l0": kernel.T,
        "gru.weight_hh_l0": recurrent.T,
        "gru.bias_ih_l0": bias[0],
        "gru.bias_hh_l0": bias[1],
        **_norm("norm_rnn", block.norm_rnn),
        **_dense("widen", block.widen),
        **_dense("narrow", block.narrow),
        **_norm("norm_dense", block.norm_dense),
        **_dense("key", attention.key),
        **_dense("value", attention.value),
        "query": _array(attention.query),
        **_dense("points", model.interest_points.dense),
        **_dense("query_widen", query.widen),
        **_dense("query_narrow", query.narrow),
        **_norm("norm_query", query.norm),
        "item_bias": _array(model.item_bias),
        "item_interests": model.catalogue.item_interests.astype(np.float32),
    }


def sasrec_weights(model: SequenceBaseline) -> Weights:
    """The weights of `SequenceBaseline("sasrec")` for `SelfAttentive`."""
    encoder, units = model.encoder, model.item.embeddings.shape[1]
    found = {
        "item.weight": _array(model.item.embeddings),
        "position.weight": _array(encoder.position.embeddings),
        "item_bias": _array(model.item_bias),
    }
    for k, norm in enumerate(encoder.norms):
        found |= _norm(f"norms.{k}", norm)
    for k, attention in enumerate(encoder.attentions):
        values = [_array(value) for value in attention.weights]
        asked = [kernel.reshape(units, units).T for kernel in values[:6:2]]
        found[f"asked.{k}.weight"] = np.concatenate(asked)
        found[f"asked.{k}.bias"] = np.concatenate([bias.reshape(-1) for bias in values[1:6:2]])
        found[f"out.{k}.weight"], found[f"out.{k}.bias"] = values[6].reshape(units, units).T, values[7]
        found |= {**_dense(f"inner.{k}", encoder.inner[k]), **_dense(f"outer.{k}", encoder.outer[k])}
    return found
