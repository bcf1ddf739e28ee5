"""The other side: PyTorch in a process and a Python environment of its own, and what it is handed.

Both processes stay alive and warm; one works while the other waits for a line. Each says how much processor
time it used while it should have been idle, so that the reader can see that neither disturbed the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import imtlib as imt
from imtlib.data.histories import EvaluationSet
from imtlib.data.inputs import Arrays, inputs
from imtlib.training.batches import TrainingBatches
from imtlib.types import IntArray

Model = imt.InterestMigrationModel | imt.SequenceBaseline
Batches = Iterable[tuple[Arrays, IntArray]]
READ = ("item", "scenario", "behaviour", "gap", "length")
"""Of a batch, what the peers read."""


class Peer:
    """The other process; `idleness` has the processor seconds that each side used in the other's turn."""

    def __init__(self, python: str, threads: int) -> None:
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))
        }
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [python, str(Path(__file__).with_name("torch_peers.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**env, "OMP_NUM_THREADS": str(threads)},
        )
        words = ("peer while we worked", "we while the peer worked", "seconds the peer worked")
        self.idleness = dict.fromkeys(words, 0.0)
        self.versions = self.ask("about", threads=threads)

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        """Have one thing done, of the functions of `torch_peers.py`, and wait for it."""
        began, used = time.perf_counter(), time.process_time()
        assert self.process.stdin and self.process.stdout  # noqa: S101, PT018 - both are pipes
        if self.process.poll() is None:
            print(json.dumps({"do": do, **given}), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or "null")
        if answer is None:
            self.close()
            raise RuntimeError(f"the peer ended at {do!r}; has it what requirements-peers.txt names?")
        spent = (answer.pop("idle"), time.process_time() - used, time.perf_counter() - began)
        for name, seconds in zip(self.idleness, spent, strict=True):
            self.idleness[name] = round(self.idleness[name] + seconds, 2)
        return dict(answer)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def keep(path: Path, batches: Batches, **more: Any) -> str:
    """Write batches and their targets to a file for the peers, and more for the first; returns its name."""
    held = {f"0.{name}": values for name, values in more.items()}
    for place, (arrays, target) in enumerate(batches):
        held |= {f"{place}.target": target, **{f"{place}.{name}": arrays[name] for name in READ}}
    np.savez(path, **held)
    return str(path)


def keep_requests(path: Path, part: EvaluationSet, max_length: int) -> str:
    """Write the requests of a part, with all the items that each user has seen."""
    past = part.histories
    return keep(path, [(inputs(past, max_length), part.target)], seen_starts=past.starts, seen_item=past.item)


def padded_batch(log: imt.BehaviourLog, length: int, epoch: int = 0) -> tuple[Arrays, IntArray]:
    """Make one batch of all users, padded on the right to one length, as public recipes have them.

    Of a user with more than T + 1 events, a window at a random place counts, as for ours.

    Returns:
        The arrays `(U, T)`, and the targets `(U, T + 1)`; −1 where there is nothing to learn.
    """
    every = TrainingBatches(log, len(log.users), length + 1, seed=0)
    every.epoch = epoch
    ((arrays, target),) = every
    wider = ((0, 0), (0, length - arrays["item"].shape[1]))
    filled = {name: np.pad(arrays[name], wider) for name in READ if name != "length"}
    return {**filled, "length": arrays["length"]}, np.pad(target, wider, constant_values=-1)


def port(model: Model, path: Path) -> dict[str, Any]:
    """Say what the peer must know to make the same model: its sizes, and the file of its first weights."""
    names = model.catalogue
    sizes = {"item": names.items, "scenario": names.scenarios, "behaviour": names.behaviours}
    counts = {name: len(held) for name, held in {**sizes, "interests": names.interests}.items()}
    weights = _gru(model) if isinstance(model, imt.InterestMigrationModel) else _sasrec(model)
    held: dict[str, Any] = {name: np.array(value, np.float32) for name, value in weights.items()}
    np.savez(path, **held)
    return {"sizes": {**asdict(model.config), **counts, "gap": 32}, "weights": str(path)}


def _layers(layers: Mapping[str, Any]) -> dict[str, Any]:
    """Dense layers, whose matrices PyTorch has turned; normalisations; and embeddings."""
    found = {}
    for name, layer in layers.items():
        first, *bias = (np.asarray(value) for value in layer.weights)
        found[f"{name}.weight"] = first.T if hasattr(layer, "kernel") else first
        found |= {f"{name}.bias": value for value in bias}
    return found


def _gru(model: imt.InterestMigrationModel) -> dict[str, Any]:
    block, query, seen = model.encoder.blocks[0], model.item_query, model.attention
    # Keras has update, reset and candidate side by side; PyTorch has reset, update and candidate.
    gates = [np.split(np.asarray(value), 3, axis=-1) for value in block.rnn.cell.weights]
    kernel, recurrent, bias = (np.concatenate([reset, update, new], axis=-1) for update, reset, new in gates)
    layers = {name: getattr(model.embedding, name) for name in READ[:4]}
    layers |= {name: getattr(block, name) for name in ("norm_rnn", "widen", "narrow", "norm_dense")}
    layers |= {"query_widen": query.widen, "query_narrow": query.narrow, "norm_query": query.norm}
    layers |= {"key": seen.key, "value": seen.value, "points": model.interest_points.dense}
    rnn = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias[0], "bias_hh": bias[1]}
    return {
        **_layers({**layers, "norm": model.encoder.norm}),
        **{f"gru.{name}_l0": value for name, value in rnn.items()},
        "query": seen.query,
        "item_bias": model.item_bias,
        "item_interests": model.catalogue.item_interests,
    }


def _sasrec(model: imt.SequenceBaseline) -> dict[str, Any]:
    encoder, units = model.encoder, model.item.embeddings.shape[1]
    lists = {"norms": encoder.norms, "inner": encoder.inner, "outer": encoder.outer}
    numbered = {f"{name}.{k}": layer for name, layers in lists.items() for k, layer in enumerate(layers)}
    found = _layers({"item": model.item, "position": encoder.position, **numbered})
    for k, attention in enumerate(encoder.attentions):
        values = [np.asarray(value) for value in attention.weights]
        matrices = [kernel.reshape(units, units).T for kernel in values[::2]]
        biases = [bias.reshape(units) for bias in values[1::2]]
        for name, part in {"asked": slice(0, 1), "kept": slice(1, 3), "out": slice(3, 4)}.items():
            found[f"{name}.{k}.weight"] = np.concatenate(matrices[part])
            found[f"{name}.{k}.bias"] = np.concatenate(biases[part])
    return {**found, "item_bias": model.item_bias}
