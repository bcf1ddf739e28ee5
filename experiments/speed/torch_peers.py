"""The other side of `speed.py`: PyTorch in its own process; a JSON command a line in, an answer a line out.

Two forms of each model are trained. *packed*: the very batches of `imtlib`, AdamW, the same rate, logits at
real positions alone. *padded*: as public recipes have it, 128 users a batch, all padded to 200 events, logits
at every place with the padding ignored, Adam at a constant rate of 0.001. While it waits for a line it does
nothing; each answer says how much processor time went by all the same.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

try:
    import numpy as np
    import torch
    from torch_models import KINDS, LOSSES, Batch, rate_at
except ImportError as missing:
    need = "install experiments/speed/requirements-peers.txt into it"
    sys.stdout.write(json.dumps({"error": f"the peers' python lacks {missing.name}: {need}"}) + "\n")
    sys.exit(1)

PLAIN = ("bias", "norm")
"""Parameters whose names hold one of these are left out of the weight decay."""


class Run:
    """A model with its optimiser."""

    def __init__(self, kind: str, form: str, sizes: dict[str, Any], fitting: dict[str, Any]) -> None:
        torch.manual_seed(fitting["seed"])
        self.model, self.loss = KINDS[kind](sizes), LOSSES[form]
        self.form, self.fitting, self.done = form, fitting, 0
        named = list(self.model.named_parameters())
        if form == "padded":
            self.optimiser = torch.optim.Adam([value for _, value in named], lr=1e-3, fused=True)
            return
        plain = [value for name, value in named if any(part in name for part in PLAIN)]
        decayed = [value for name, value in named if not any(part in name for part in PLAIN)]
        groups = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        decay = fitting["weight_decay"]
        self.optimiser = torch.optim.AdamW(groups, lr=0.0, eps=1e-7, weight_decay=decay, fused=True)

    def step(self, batch: Batch) -> float:
        """One training step; the loss before it, in nats."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.model, batch)
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


RUNS: dict[str, Run] = {}
FILES: dict[str, list[dict[str, np.ndarray]]] = {}


def packed(file: str) -> list[dict[str, np.ndarray]]:
    """The batches of a file, kept in memory until `forget`."""
    if file not in FILES:
        with np.load(file) as held:
            found: dict[int, dict[str, np.ndarray]] = {}
            for key in held.files:
                place, name = key.split(".")
                found.setdefault(int(place), {})[name] = held[key]
        FILES[file] = [found[place] for place in sorted(found)]
    return FILES[file]


def padded(file: str, size: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """The users of a file's only batch in a random order, `size` at a time."""
    (whole,) = packed(file)
    order = np.random.default_rng(seed).permutation(len(whole["item"]))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield {name: values[rows] for name, values in whole.items()}


def batches(run: Run, file: str, size: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """What a run learns from: a file's batches as they are, or padded ones put together anew."""
    return iter(packed(file)) if run.form == "packed" else padded(file, size, seed)


def tensors(arrays: dict[str, np.ndarray]) -> Batch:
    """The arrays as PyTorch has them, without a copy."""
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def learnt(run: Run, arrays: dict[str, np.ndarray]) -> int:
    """How many real targets a batch has in this form."""
    target = arrays["target"] if run.form == "packed" else arrays["target"][:, 1:]
    return int((target >= 0).sum())


def about(threads: int) -> dict[str, Any]:
    """Set the threads; say the versions."""
    torch.set_num_threads(threads)
    versions = {"torch": torch.__version__, "numpy": np.__version__, "python": sys.version.split()[0]}
    return {"versions": versions, "threads": torch.get_num_threads()}


def make(
    name: str,
    kind: str,
    form: str,
    sizes: dict[str, Any],
    fitting: dict[str, Any],
    weights: str | None = None,
) -> dict[str, Any]:
    """Make a model by a name, with its first weights from a file if one is given."""
    run = Run(kind, form, sizes, fitting)
    if weights is not None:
        with np.load(weights) as held:
            run.model.load_state_dict({key: torch.from_numpy(held[key]) for key in held.files})
    RUNS[name] = run
    return {"parameters": sum(value.numel() for value in run.model.parameters())}


def steps(name: str, file: str, count: int, size: int = 0) -> dict[str, Any]:
    """The first `count` steps of a file: seconds, steps and real targets of all of them."""
    run = RUNS[name]
    run.model.train()
    chosen = [arrays for _, arrays in zip(range(count), batches(run, file, size, 0), strict=False)]
    events = sum(learnt(run, arrays) for arrays in chosen)
    began = time.perf_counter()
    loss = [run.step(tensors(arrays)) for arrays in chosen]
    return {
        "seconds": time.perf_counter() - began,
        "steps": len(chosen),
        "events": events,
        "loss": float(np.mean(loss)),
    }


def epoch(name: str, file: str, size: int = 0, seed: int = 0) -> dict[str, Any]:
    """One pass: seconds, without those of reading the file, and the mean loss."""
    run = RUNS[name]
    packed(file)
    run.model.train()
    began = time.perf_counter()
    loss = [run.step(tensors(arrays)) for arrays in batches(run, file, size, seed)]
    return {"seconds": time.perf_counter() - began, "steps": len(loss), "loss": float(np.mean(loss))}


def loss(name: str, file: str) -> dict[str, Any]:
    """The packed loss of a file's first batch, without dropout, in nats."""
    model = RUNS[name].model.eval()
    with torch.inference_mode():
        return {"loss": float(LOSSES["packed"](model, tensors(packed(file)[0])))}


def validate(name: str, file: str, size: int = 256) -> dict[str, Any]:
    """Rank the whole catalogue as `imtlib.evaluate` does: seen items masked, ties against the model."""
    (held,) = packed(file)
    began, model = time.perf_counter(), RUNS[name].model.eval()
    length, target = held["length"], held["target"]
    rank = np.empty(len(target))
    order = np.argsort(length, kind="stable")
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        width = max(int(length[rows].max()), 2)
        names = ("item", "scenario", "behaviour", "gap")
        batch = tensors({name: np.ascontiguousarray(held[name][rows, :width]) for name in names})
        with torch.inference_mode():
            query, _ = model(batch)
            score = model.logits(query[torch.arange(len(rows)), torch.from_numpy(length[rows])]).numpy()
        rank[rows] = ranks(score, target[rows], rows, held["seen_starts"], held["seen_item"])
    gain = np.where(rank <= 10, 1 / np.log2(1 + rank), 0.0)
    figures = {"HR@10": float((rank <= 10).mean()), "NDCG@10": float(gain.mean())}
    return {"seconds": time.perf_counter() - began, **figures}


def ranks(
    score: np.ndarray, target: np.ndarray, rows: np.ndarray, starts: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """The rank of each target among the unseen; infinite where it had been seen itself."""
    score = np.array(score)
    for place, row in enumerate(rows):
        score[place, seen[starts[row] : starts[row + 1]]] = -np.inf
    own = score[np.arange(len(target)), target]
    return np.where(np.isfinite(own), (score >= own[:, None]).sum(axis=1), np.inf)


def forget(files: list[str]) -> dict[str, Any]:
    """Let go of what was read from files."""
    for file in files:
        FILES.pop(file, None)
    return {}


def drop() -> dict[str, Any]:
    """Let go of all models and files."""
    RUNS.clear()
    FILES.clear()
    return {}


COMMANDS = {
    command.__name__: command for command in (about, make, steps, epoch, loss, validate, forget, drop)
}


def main() -> None:
    """Read, do, answer, until there is no further line."""
    used = time.process_time()
    for line in sys.stdin:
        idle = time.process_time() - used
        given = json.loads(line)
        try:
            answer = COMMANDS[given.pop("do")](**given)
        except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({**answer, "idle": idle}) + "\n")
        sys.stdout.flush()
        used = time.process_time()


if __name__ == "__main__":
    main()
