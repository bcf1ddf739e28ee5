"""The peer of `peers.py`: PyTorch in its own process; a JSON command a line in, an answer a line out.

Two forms of each model are trained. *packed*: the very batches of `imtlib`, AdamW, the same rate, logits at
real positions alone. *padded*: as public recipes have it, 128 users a batch, all padded to 200 events, logits
at every place with the padding ignored, Adam at a constant rate of 0.001. While it waits for a line it does
nothing; each answer says how much processor time went by all the same.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import torch
from torch_models import LOSSES, TABLES, Batch, logits, model_for, rate_at

RUNS: dict[str, Run] = {}


class Run:
    """A model with its optimiser; its first weights come from a file."""

    def __init__(self, form: str, sizes: dict[str, Any], fitting: dict[str, Any], weights: str) -> None:
        torch.manual_seed(fitting["seed"])
        self.model, self.form, self.fitting, self.done = model_for(sizes), form, fitting, 0
        self.model.load_state_dict(tensors(dict(np.load(weights))))
        named = dict(self.model.named_parameters())
        if form == "padded":
            self.optimiser = torch.optim.Adam(named.values(), lr=1e-3, fused=True)
            return
        plain = {name: value for name, value in named.items() if "bias" in name or "norm" in name}
        decayed = [value for name, value in named.items() if name not in plain]
        groups = [{"params": decayed}, {"params": list(plain.values()), "weight_decay": 0.0}]
        decay = fitting["weight_decay"]
        self.optimiser = torch.optim.AdamW(groups, lr=0.0, eps=1e-7, weight_decay=decay, fused=True)

    def step(self, arrays: dict[str, np.ndarray]) -> float:
        """One training step; the loss before it, in nats."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = LOSSES[self.form](self.model, tensors(arrays))
        loss.backward()
        if self.form == "packed":
            steps = self.fitting["steps"]
            rate = rate_at(self.done, self.fitting["learning_rate"], steps, steps * self.fitting["epochs"])
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        self.done += 1
        return float(loss.detach())


def tensors(arrays: dict[str, np.ndarray]) -> Batch:
    """The arrays as PyTorch has them, without a copy."""
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def read(file: str) -> list[dict[str, np.ndarray]]:
    """The batches of a file."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for key, values in np.load(file).items():
        place, name = key.split(".")
        found.setdefault(int(place), {})[name] = values
    return [found[place] for place in sorted(found)]


def about(threads: int) -> dict[str, Any]:
    """Set the threads; say the versions."""
    torch.set_num_threads(threads)
    return {"torch": torch.__version__, "numpy": np.__version__, "python": sys.version.split()[0]}


def make(name: str, **given: Any) -> dict[str, Any]:
    """Make a model by a name."""
    RUNS[name] = Run(**given)
    return {}


def train(name: str, file: str, count: int | None = None, size: int = 0, seed: int = 0) -> dict[str, Any]:
    """Train on the batches of a file, or on the first `count`: seconds, without reading it, and the losses.

    The padded form has all users in one, which are put in a random order and taken `size` at a time.
    """
    run, batches = RUNS[name], read(file)
    if run.form == "padded":
        order = np.random.default_rng(seed).permutation(len(batches[0]["item"]))
        places = [order[start : start + size] for start in range(0, len(order), size)]
        batches = [{key: values[rows] for key, values in batches[0].items()} for rows in places]
    first = 0 if run.form == "packed" else 1
    events = sum(int((batch["target"][:, first:] >= 0).sum()) for batch in batches[:count])
    run.model.train()
    began = time.perf_counter()
    losses = [run.step(batch) for batch in batches[:count]]
    return {"seconds": time.perf_counter() - began, "steps": len(losses), "events": events, "losses": losses}


def validate(name: str, file: str, size: int = 256) -> dict[str, Any]:
    """Rank the whole catalogue as `imtlib.evaluate` does: seen items masked, ties against the model."""
    (held,), model = read(file), RUNS[name].model.eval()
    began, length, target = time.perf_counter(), held["length"], held["target"]
    rank, order = np.empty(len(target)), np.argsort(held["length"], kind="stable")
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        width = max(int(length[rows].max()), 2)
        with torch.inference_mode():
            query, _ = model(tensors({key: np.ascontiguousarray(held[key][rows, :width]) for key in TABLES}))
            score = logits(model, query[torch.arange(len(rows)), torch.from_numpy(length[rows])]).numpy()
        for place, row in enumerate(rows):
            score[place, held["seen_item"][held["seen_starts"][row] : held["seen_starts"][row + 1]]] = -np.inf
        own = score[np.arange(len(rows)), target[rows]]
        rank[rows] = np.where(np.isfinite(own), (score >= own[:, None]).sum(axis=1), np.inf)
    gain = np.where(rank <= 10, 1 / np.log2(1 + rank), 0.0)
    figures = {"HR@10": float((rank <= 10).mean()), "NDCG@10": float(gain.mean())}
    return {"seconds": time.perf_counter() - began, **figures}


def main() -> None:
    """Read, do, answer, until there is no further line."""
    commands, used = (
        {command.__name__: command for command in (about, make, train, validate)},
        time.process_time(),
    )
    for line in sys.stdin:
        idle, given = time.process_time() - used, json.loads(line)
        answer = commands[given.pop("do")](**given)
        print(json.dumps({**answer, "idle": idle}), flush=True)
        used = time.process_time()


if __name__ == "__main__":
    main()
