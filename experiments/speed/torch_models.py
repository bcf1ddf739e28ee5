"""The peers' models in PyTorch: the same formulas as in `imtlib`, from the quickest stock parts there are."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Batch = dict[str, torch.Tensor]
EPSILON = 1e-3
"""Of the normalisations, as Keras has it."""


def heads_of(x: torch.Tensor, heads: int) -> torch.Tensor:
    """`(B, T, heads * w)` to `(B, heads, T, w)`."""
    batch, time, width = x.shape
    return x.view(batch, time, heads, width // heads).transpose(1, 2)


def merged(x: torch.Tensor) -> torch.Tensor:
    """`(B, heads, T, w)` to `(B, T, heads * w)`."""
    batch, heads, time, width = x.shape
    return x.transpose(1, 2).reshape(batch, time, heads * width)


def after_start(x: torch.Tensor) -> torch.Tensor:
    """Zeros for position 0, before any event, and then `x`: `(B, T, d)` gives `(B, T + 1, d)`."""
    return functional.pad(x, (0, 0, 1, 0))


class GruAttention(nn.Module):
    """`imtlib.InterestMigrationModel` of one layer, with constant queries and the direct softmax over items.

    A constant query is the scaled dot product of PyTorch with one query for all positions and scale 1: its
    own causal kernel does the work.
    """

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        d, self.heads, self.window = sizes["units"], sizes["heads"], sizes["window"]
        self.interest_loss_weight = sizes["interest_loss_weight"]
        for name in ("item", "scenario", "behaviour", "gap"):
            table = nn.Embedding(sizes[name], d)
            nn.init.normal_(table.weight, std=d**-0.5)
            self.add_module(name, table)
        self.norm, self.norm_rnn, self.norm_dense, self.norm_query = (
            nn.LayerNorm(d, eps=EPSILON) for _ in range(4)
        )
        self.drop = nn.Dropout(sizes["dropout"])
        self.gru = nn.GRU(d, d, batch_first=True)
        self.widen, self.narrow = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.key, self.value = nn.Linear(2 * d, d, bias=False), nn.Linear(2 * d, d, bias=False)
        self.query = nn.Parameter(torch.empty(self.heads, d // self.heads))
        nn.init.xavier_uniform_(self.query)
        self.points = nn.Linear(2 * d, sizes["interests"])
        self.query_widen, self.query_narrow = nn.Linear(2 * d, 2 * d), nn.Linear(2 * d, d)
        self.item_bias = nn.Parameter(torch.zeros(sizes["item"]))
        self.register_buffer("item_interests", torch.zeros(sizes["item"], sizes["interests"]))

    def states(self, batch: Batch) -> torch.Tensor:
        """$h_0, \\dots, h_T$, `(B, T + 1, d)`."""
        tables = ("item", "scenario", "behaviour", "gap")
        x = self.drop(self.norm(sum(getattr(self, name)(batch[name]) for name in tables)))
        x = self.norm_rnn(x + self.drop(self.gru(x)[0]))
        wide = functional.gelu(self.widen(x))
        return after_start(self.norm_dense(x + self.drop(self.narrow(wide))))

    def contexts(self, states: torch.Tensor) -> torch.Tensor:
        """$c_0, \\dots, c_T$, `(B, T + 1, d)`; what is padded on the right is seen by no real position."""
        pairs = torch.cat([states[:, :-1], states[:, 1:]], dim=-1)
        keys = heads_of(torch.tanh(self.key(pairs)), self.heads)
        values = heads_of(self.value(pairs), self.heads)
        queries = self.query[None, :, None].expand_as(keys)
        seen = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=1.0)
        return after_start(merged(seen))

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries `(B, T + 1, d)`, and contexts and states side by side, `(B, T + 1, 2d)`."""
        states = self.states(batch)
        both = torch.cat([self.contexts(states), states], dim=-1)
        mixed = self.query_narrow(functional.gelu(self.query_widen(both)))
        return self.norm_query(states + self.drop(mixed)), both

    def logits(self, query: torch.Tensor) -> torch.Tensor:
        """Of every item: `(n, d)` gives `(n, N)`."""
        return functional.linear(query, self.item.weight, self.item_bias)

    def second_task(self, both: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Weighted cross-entropy of the interests of the coming events, at real positions."""
        real = target >= 0
        ahead = self.item_interests[target.clamp(min=0)] * real[..., None]
        ahead = functional.pad(ahead, (0, 0, 0, self.window - 1))
        length, coming = target.shape[1], ahead[:, : target.shape[1]]
        for step in range(1, self.window):
            coming = torch.maximum(coming, ahead[:, step : step + length])
        points = self.points(both[real])
        return self.interest_loss_weight * functional.binary_cross_entropy_with_logits(points, coming[real])


class SelfAttentive(nn.Module):
    """`imtlib.SequenceBaseline("sasrec")`: causal self-attention; past it goes the normalised query."""

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        d, layers, self.heads = sizes["units"], sizes["layers"], sizes["heads"]
        self.rate = sizes["dropout"]
        self.item, self.position = nn.Embedding(sizes["item"], d), nn.Embedding(sizes["max_length"], d)
        nn.init.xavier_normal_(self.item.weight)
        nn.init.uniform_(self.position.weight, -0.05, 0.05)
        self.scale, self.drop = d**0.5, nn.Dropout(self.rate)
        self.norms = nn.ModuleList(nn.LayerNorm(d, eps=1e-8) for _ in range(2 * layers + 1))
        self.asked, self.out, self.inner, self.outer = (
            nn.ModuleList(nn.Linear(d, width) for _ in range(layers)) for width in (3 * d, d, d, d)
        )
        self.item_bias = nn.Parameter(torch.zeros(sizes["item"]))

    def attend(self, asked: torch.Tensor, x: torch.Tensor, k: int) -> torch.Tensor:
        """Causal attention of block k: from the queries' side, and over x."""
        weight, bias = self.asked[k].weight, self.asked[k].bias
        d = x.shape[-1]
        queries = heads_of(functional.linear(asked, weight[:d], bias[:d]), self.heads)
        both = functional.linear(x, weight[d:], bias[d:]).chunk(2, dim=-1)
        keys, values = (heads_of(part, self.heads) for part in both)
        rate = self.rate if self.training else 0.0
        return self.out[k](
            merged(
                functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, dropout_p=rate)
            )
        )

    def forward(self, batch: Batch) -> tuple[torch.Tensor, None]:
        """States $h_0, \\dots, h_T$, `(B, T + 1, d)`, which are the queries; and nothing besides."""
        item = batch["item"]
        x = self.drop(self.item(item) * self.scale + self.position.weight[: item.shape[1]])
        for k in range(len(self.out)):
            asked = self.norms[2 * k](x)
            x = self.norms[2 * k + 1](asked + self.attend(asked, x, k))
            wide = self.drop(functional.relu(self.inner[k](x)))
            x = x + self.drop(self.outer[k](wide))
        return after_start(self.norms[-1](x)), None

    def logits(self, query: torch.Tensor) -> torch.Tensor:
        """Of every item: `(n, d)` gives `(n, N)`."""
        return functional.linear(query, self.item.weight, self.item_bias)

    def second_task(self, both: None, target: torch.Tensor) -> float:
        """There is none."""
        return 0.0


KINDS = {"gru": GruAttention, "sasrec": SelfAttentive}


def packed_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """As `imtlib` has it: logits at real positions alone, and the second task, if the model has one."""
    query, both = model(batch)
    target = batch["target"].long()
    real = target >= 0
    return functional.cross_entropy(model.logits(query[real]), target[real]) + model.second_task(both, target)


def padded_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """As public recipes have it: logits at every place of a batch of one fixed length, padding ignored."""
    query, _ = model(batch)
    target = batch["target"][:, 1:].reshape(-1).long()
    every = model.logits(query[:, 1:].reshape(len(target), -1))
    return functional.cross_entropy(every, target, ignore_index=-1)


LOSSES = {"packed": packed_loss, "padded": padded_loss}


def rate_at(step: int, peak: float, warm_up: int, steps: int) -> float:
    """The rate of `imtlib.training.trainer.warm_cosine`."""
    if step < warm_up:
        return peak * (1 + (warm_up - 1) * step / warm_up) / warm_up
    fall = min((step - warm_up) / max(steps - warm_up, 1), 1.0)
    return peak * 0.5 * (1 + math.cos(math.pi * fall))
