"""The peers' models in PyTorch: the same formulas as in `imtlib`, from the quickest stock parts there are."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Batch = dict[str, torch.Tensor]
TABLES = ("item", "scenario", "behaviour", "gap")


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

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        d, self.heads, self.sizes = sizes["units"], sizes["heads"], sizes
        for name in TABLES:
            self.add_module(name, nn.Embedding(sizes[name], d))
        for name in ("norm", "norm_rnn", "norm_dense", "norm_query"):
            self.add_module(name, nn.LayerNorm(d, eps=1e-3))
        self.drop, self.gru = nn.Dropout(sizes["dropout"]), nn.GRU(d, d, batch_first=True)
        self.widen, self.narrow = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.key, self.value = nn.Linear(2 * d, d, bias=False), nn.Linear(2 * d, d, bias=False)
        self.query = nn.Parameter(torch.empty(self.heads, d // self.heads))
        self.points = nn.Linear(2 * d, sizes["interests"])
        self.query_widen, self.query_narrow = nn.Linear(2 * d, 2 * d), nn.Linear(2 * d, d)
        self.item_bias = nn.Parameter(torch.zeros(sizes["item"]))
        self.register_buffer("item_interests", torch.zeros(sizes["item"], sizes["interests"]))

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
        ahead = functional.pad(ahead, (0, 0, 0, self.sizes["window"] - 1))
        coming = ahead[:, :length]
        for step in range(1, self.sizes["window"]):
            coming = torch.maximum(coming, ahead[:, step : step + length])
        loss = functional.binary_cross_entropy_with_logits(self.points(both[real]), coming[real])
        return self.sizes["interest_loss_weight"] * loss


class SelfAttentive(nn.Module):
    """`imtlib.SequenceBaseline("sasrec")`: causal self-attention; past it goes the normalised query."""

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        d, layers, self.heads = sizes["units"], sizes["layers"], sizes["heads"]
        self.item, self.position = nn.Embedding(sizes["item"], d), nn.Embedding(sizes["max_length"], d)
        self.scale, self.drop = d**0.5, nn.Dropout(sizes["dropout"])
        self.norms = nn.ModuleList(nn.LayerNorm(d, eps=1e-8) for _ in range(2 * layers + 1))
        self.asked, self.kept, self.out, self.inner, self.outer = (
            nn.ModuleList(nn.Linear(d, width) for _ in range(layers)) for width in (d, 2 * d, d, d, d)
        )
        self.item_bias = nn.Parameter(torch.zeros(sizes["item"]))

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


def model_for(sizes: dict[str, Any]) -> nn.Module:
    """The model of these sizes: of `encoder`, which ours of interest migration has not, SASRec."""
    return SelfAttentive(sizes) if "encoder" in sizes else GruAttention(sizes)


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


LOSSES = {"packed": packed_loss, "padded": padded_loss}


def rate_at(step: int, peak: float, warm_up: int, steps: int) -> float:
    """The rate of `imtlib.fit`, which rises linearly over the warm-up and falls to zero along a cosine."""
    if step < warm_up:
        return peak * (1 + (warm_up - 1) * step / warm_up) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * min((step - warm_up) / max(steps - warm_up, 1), 1.0)))
