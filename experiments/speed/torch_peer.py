"""The peer of `peers.py`: one model in PyTorch, in its own process; a message in, an answer out.

The formulas are those of `imtlib`, made from the quickest stock parts there are. The first weights are those
of its model, in the order in which that one makes them. Two forms of each model are trained. *packed*: the
very batches of `imtlib`, its AdamW and its rates, logits at real positions alone. *padded*: as public recipes
have it, all histories padded to 200 events, logits at every place with the padding ignored, Adam. While it
waits for a message it does nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

Batch = dict[str, torch.Tensor]
Weights = Iterator[torch.Tensor]
TABLES = ("item", "scenario", "behaviour", "gap")


def filled(layer: nn.Module, weights: Weights) -> nn.Module:
    """The layer with the next weights as its parameters; a dense one has its matrix turned."""
    for parameter in layer.parameters():
        value = next(weights)
        parameter.data = value.T.contiguous() if value.dim() == 2 else value
    return layer


def embedding(weights: Weights) -> nn.Module:
    """An embedding, of the next weight."""
    return nn.Embedding.from_pretrained(next(weights), freeze=False)


def recurrent(units: int, weights: Weights) -> nn.Module:
    """A GRU, of the next three: two matrices, and two biases in one."""
    gates = (next(weights).chunk(3, dim=-1) for _ in range(3))
    # Keras has update, reset and candidate side by side; PyTorch has reset, update and candidate.
    kernel, inner, biases = (torch.cat([reset, update, new], dim=-1) for update, reset, new in gates)
    return filled(nn.GRU(units, units, batch_first=True), iter((kernel, inner, *biases)))


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **how: Any) -> torch.Tensor:
    """Causal attention of heads `(B, T, heads, w)`; no real position sees what is padded on the right."""
    turned = (part.transpose(1, 2) for part in (query, key, value))
    seen = functional.scaled_dot_product_attention(*turned, is_causal=True, **how)
    return seen.transpose(1, 2).flatten(2)


def after_start(x: torch.Tensor) -> torch.Tensor:
    """Zeros for position 0, before any event, and then `x`: `(B, T, d)` gives `(B, T + 1, d)`."""
    return functional.pad(x, (0, 0, 1, 0))


class GruAttention(nn.Module):
    """`imtlib.InterestMigrationModel` of one layer, with constant queries and the direct softmax over items.

    A constant query is the scaled dot product of PyTorch with one query for all positions and scale 1: its
    own causal kernel does the work.
    """

    def __init__(self, config: dict[str, Any], weights: Weights, item_interests: torch.Tensor) -> None:
        super().__init__()
        self.config, self.drop, d = config, nn.Dropout(config["dropout"]), config["units"]
        norm = partial(nn.LayerNorm, d, eps=1e-3)
        self.item_bias = nn.Parameter(next(weights))
        for name in TABLES:
            self.add_module(name, embedding(weights))
        self.norm, self.gru = filled(norm(), weights), recurrent(d, weights)
        self.widen = filled(nn.Linear(d, 4 * d), weights)
        self.narrow = filled(nn.Linear(4 * d, d), weights)
        self.norm_rnn, self.norm_dense = filled(norm(), weights), filled(norm(), weights)
        self.query = nn.Parameter(next(weights))
        self.key, self.value = (filled(nn.Linear(2 * d, d, bias=False), weights) for _ in range(2))
        self.points = filled(nn.Linear(2 * d, item_interests.shape[1]), weights)
        self.query_widen = filled(nn.Linear(2 * d, 2 * d), weights)
        self.query_narrow = filled(nn.Linear(2 * d, d), weights)
        self.norm_query = filled(norm(), weights)
        self.register_buffer("item_interests", item_interests)

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries `(B, T + 1, d)`, and contexts and states side by side, `(B, T + 1, 2d)`."""
        x = self.drop(self.norm(sum(getattr(self, name)(batch[name]) for name in TABLES)))
        x = self.norm_rnn(x + self.drop(self.gru(x)[0]))
        wide = functional.gelu(self.widen(x))
        states = after_start(self.norm_dense(x + self.drop(self.narrow(wide))))
        pairs = torch.cat([states[:, :-1], states[:, 1:]], dim=-1)
        keys = torch.tanh(self.key(pairs)).unflatten(2, self.query.shape)
        values = self.value(pairs).unflatten(2, self.query.shape)
        contexts = after_start(attention(self.query.expand_as(keys), keys, values, scale=1.0))
        both = torch.cat([contexts, states], dim=-1)
        mixed = self.query_narrow(functional.gelu(self.query_widen(both)))
        return self.norm_query(states + self.drop(mixed)), both

    def second_task(self, both: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Weighted cross-entropy of the interests of the coming events, at real positions."""
        real, length = target >= 0, target.shape[1]
        ahead = self.item_interests[target.clamp(min=0)] * real[..., None]
        ahead = functional.pad(ahead, (0, 0, 0, self.config["window"] - 1))
        coming = ahead[:, :length]
        for step in range(1, self.config["window"]):
            coming = torch.maximum(coming, ahead[:, step : step + length])
        loss = functional.binary_cross_entropy_with_logits(self.points(both[real]), coming[real])
        return self.config["interest_loss_weight"] * loss


class SelfAttentive(nn.Module):
    """`imtlib.SequenceBaseline("sasrec")`: causal self-attention; past it goes the normalised query."""

    def __init__(self, config: dict[str, Any], weights: Weights, item_interests: torch.Tensor) -> None:
        super().__init__()
        d, self.heads, layers = config["units"], config["heads"], config["layers"]
        self.scale, self.drop = d**0.5, nn.Dropout(config["dropout"])
        self.item_bias = nn.Parameter(next(weights))
        self.item, self.position = embedding(weights), embedding(weights)
        self.norms = nn.ModuleList(filled(nn.LayerNorm(d, eps=1e-8), weights) for _ in range(2 * layers + 1))
        self.asked, self.kept, self.out = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for _ in range(layers):
            asked, key, value, out = (
                (next(weights).reshape(d, d), next(weights).flatten()) for _ in range(4)
            )
            # Keys and values are one product.
            kept = (torch.cat(pair, dim=-1) for pair in zip(key, value, strict=True))
            self.asked.append(filled(nn.Linear(d, d), iter(asked)))
            self.kept.append(filled(nn.Linear(d, 2 * d), kept))
            self.out.append(filled(nn.Linear(d, d), iter(out)))
        self.inner, self.outer = (
            nn.ModuleList(filled(nn.Linear(d, d), weights) for _ in range(layers)) for _ in range(2)
        )

    def forward(self, batch: Batch) -> tuple[torch.Tensor, None]:
        """States $h_0, \\dots, h_T$, `(B, T + 1, d)`, which are the queries; and nothing besides."""
        item, rate = batch["item"], self.drop.p if self.training else 0.0
        x = self.drop(self.item(item) * self.scale + self.position.weight[: item.shape[1]])
        for k, (asked, kept, out) in enumerate(zip(self.asked, self.kept, self.out, strict=True)):
            normal = self.norms[2 * k](x)
            parts = (asked(normal), *kept(x).chunk(2, dim=-1))
            seen = attention(*(part.unflatten(2, (self.heads, -1)) for part in parts), dropout_p=rate)
            x = self.norms[2 * k + 1](normal + out(seen))
            x = x + self.drop(self.outer[k](self.drop(functional.relu(self.inner[k](x)))))
        return after_start(self.norms[-1](x)), None

    def second_task(self, both: None, target: torch.Tensor) -> float:
        """There is none."""
        return 0.0


def logits(model: nn.Module, query: torch.Tensor) -> torch.Tensor:
    """Of every item: `(n, d)` gives `(n, N)`."""
    return functional.linear(query, model.item.weight, model.item_bias)


def packed_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """As `imtlib` has it: logits at real positions alone, and the second task, if the model has one."""
    query, both = model(batch)
    target = batch["target"].long()
    real = target >= 0
    loss = functional.cross_entropy(logits(model, query[real]), target[real])
    return loss + model.second_task(both, target)


def padded_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """As public recipes have it: logits at every place of a batch of one fixed length, padding ignored."""
    query, _ = model(batch)
    target = batch["target"][:, 1:].reshape(-1).long()
    return functional.cross_entropy(logits(model, query[:, 1:].flatten(0, 1)), target, ignore_index=-1)


class Peer:
    """A model with its optimiser, as the other side describes it."""

    def __init__(self, form: str, seed: int, threads: int, config: dict[str, Any], **given: Any) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        kind = SelfAttentive if "encoder" in config else GruAttention
        interests = torch.from_numpy(given["item_interests"])
        self.model = kind(config, map(torch.from_numpy, given["weights"]), interests)
        self.packed = form == "packed"
        decayed, plain = list[torch.Tensor](), list[torch.Tensor]()
        for name, value in self.model.named_parameters():
            (plain if "bias" in name or "norm" in name else decayed).append(value)
        # Without decay this is Adam.
        decay = given["weight_decay"] if self.packed else 0.0
        groups = [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, eps=1e-7, fused=True)

    def step(self, batch: Batch, rate: float) -> float:
        """One training step; the loss before it, in nats."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = (packed_loss if self.packed else padded_loss)(self.model, batch)
        loss.backward()
        if self.packed:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        return float(loss.detach())

    def train(self, batches: list[dict[str, np.ndarray]], rates: list[float]) -> tuple[float, list[float]]:
        """Train on batches, each at its rate: seconds, without receiving them, and the losses."""
        self.model.train()
        began = time.perf_counter()
        losses = [self.step(tensors(batch), rate) for batch, rate in zip(batches, rates, strict=True)]
        return time.perf_counter() - began, losses

    def score(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        """Logits of every item at each request."""
        self.model.eval()
        batch = tensors(arrays)
        with torch.inference_mode():
            query, _ = self.model(batch)
            return logits(self.model, query[torch.arange(len(query)), batch["length"]]).numpy()


def tensors(arrays: dict[str, np.ndarray]) -> Batch:
    """The arrays as PyTorch has them, without a copy."""
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def main() -> None:
    """Make the model and say the versions; then do what is asked, until the other side is gone."""
    pipe = Connection(int(sys.argv[1]))
    peer = Peer(**pipe.recv())
    pipe.send({"torch": str(torch.__version__), "numpy": np.__version__, "python": sys.version.split()[0]})
    while True:
        try:
            do, given = pipe.recv()
        except EOFError:
            return
        pipe.send(getattr(peer, do)(*given))


if __name__ == "__main__":
    main()
