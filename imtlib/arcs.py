"""What a model reads of a history: attention weights at its end, drawn as arcs; and events left out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import ops
from matplotlib.figure import Figure
from matplotlib.patches import Arc
from numpy.typing import NDArray

from imtlib.batching import by_length, inputs
from imtlib.encoding import Tensor
from imtlib.histories import Histories, nobody

if TYPE_CHECKING:
    from imtlib.model import InterestMigrationModel

PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
"""Behind a number, so that no line crosses it."""

START = "(start)"
"""Stands for $h_0$, before any event: the first migration leaves it."""


def weights_at_end(
    model: InterestMigrationModel, histories: Histories, batch: int = 64
) -> list[NDArray[np.float32]]:
    """The attention weights $\\alpha_{T,t}$ with which a model reads each history at its end.

    Args:
        model: with any of the three attentions.
        histories: n histories; of each, the last `model.max_length` events are read.
        batch: histories worked on at a time.

    Returns:
        For each history float32 `(heads, T)`, T its events; each row sums to one. Column t is the migration
        from event t to event t + 1, counted from 1, where event 0 is the start.
    """
    at_end = _graph(model)
    found: dict[int, NDArray[np.float32]] = {}
    for rows in by_length(histories, batch):
        arrays = inputs(histories.select(rows), model.max_length)
        weights = np.asarray(at_end(arrays))
        for row, length, one in zip(rows, arrays["length"], weights, strict=True):
            found[int(row)] = one[:, :length]
    return [found[row] for row in range(len(histories))]


@lru_cache(maxsize=2)
def _graph(model: InterestMigrationModel) -> Callable[[dict[str, Tensor]], Tensor]:
    """One graph a model, with sizes left open: one for each length would take longer than the work itself."""

    def at_end(given: dict[str, Tensor]) -> Tensor:
        events = model.embedding(given["item"], given["scenario"], given["behaviour"], given["gap"])
        states = model.encoder(events, model.used_profile(given["profile"]), training=False)
        real = ops.arange(ops.shape(given["item"])[1])[None] < given["length"][:, None]
        weights = model.attention.attention_weights(states, real)
        return tf.gather(ops.transpose(weights, (0, 2, 1, 3)), given["length"], batch_dims=1)

    signature = {
        name: tf.TensorSpec(
            (None, values.shape[1]) if name == "profile" else (None,) * values.ndim, values.dtype
        )
        for name, values in inputs(nobody(model.catalogue), model.max_length).items()
    }
    return tf.function(at_end, input_signature=[signature])


def without(histories: Histories, back: int) -> Histories:
    """The same histories, each without one event; the events before it move one place nearer to the end.

    Args:
        histories: n histories, of at least `back` events each.
        back: which event is left out: 1 is the last one.

    Raises:
        ValueError: a history is shorter, or `back` is below 1.
    """
    shortest = int(np.diff(histories.starts).min(initial=back))
    if not 1 <= back <= shortest:
        raise ValueError(f"back={back} is not between 1 and {shortest}, the events of the shortest history")
    keep = np.ones(len(histories.item), bool)
    keep[histories.starts[1:] - back] = False
    return dataclasses.replace(
        histories,
        starts=histories.starts - np.arange(len(histories.starts)),
        item=histories.item[keep],
        scenario=histories.scenario[keep],
        behaviour=histories.behaviour[keep],
        time=histories.time[keep],
    )


def effective_number(weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """How many things a row of weights is spread over: $\\exp(-\\sum_t \\alpha_t \\ln \\alpha_t)$.

    Args:
        weights: `(…, T)`; each row sums to one.

    Returns:
        float64 `(…)`: T when all weights are equal, 1 when a single one has everything.
    """
    alpha = np.asarray(weights, np.float64)
    entropy = -(alpha * np.log(np.maximum(alpha, 1e-300))).sum(axis=-1)
    number: NDArray[np.float64] = np.exp(entropy)
    return number


def short_title(name: str, width: int = 24) -> str:
    """A film's title that fits a picture: without its year, an article back in front, cut to a width.

    Args:
        name: such as `"Green Mile, The (1999)"`.
        width: most letters kept, at least 2.

    Returns:
        Such as `"The Green Mile"`.
    """
    title = re.sub(r"\s*\(\d{4}\)$", "", name)
    title = re.sub(r"^(.*), (The|A|An)\b", r"\2 \1", title)
    return title if len(title) <= width else title[: width - 1].rstrip() + "…"


def arcs_figure(
    weights: NDArray[np.floating],
    events: Sequence[str],
    asked: str,
    marks: Sequence[int] = (),
    named: float = 0.1,
) -> Figure:
    """One history from top to bottom, and beside it for each head an arc for each migration.

    The wider and darker an arc, the more the head reads of that migration when the request comes.

    Args:
        weights: of the last position, `(heads, T)`.
        events: T short names, oldest first.
        asked: what stands at the place of the request, below the last event.
        marks: events (counted from 1) above which a dashed line is drawn, such as one after a long break.
        named: an arc of at least this weight carries it in per cent.

    Returns:
        A figure, five inches wide, to be read on a phone.

    Raises:
        ValueError: the number of names is not the number of migrations.
    """
    heads, length = weights.shape
    if len(events) != length:
        raise ValueError(f"{len(events)} names for {length} migrations: give one name an event")
    figure, axis = plt.subplots(figsize=(5.0, 0.26 * (length + 4)), layout="constrained")
    step, top = 0.9, float(weights.max())
    for head in range(heads):
        ink = mpl.colormaps["Blues" if head % 2 == 0 else "Oranges"]
        x = head * step
        axis.plot([x, x], [0, length], color="#bbbbbb", lw=0.8, zorder=1)
        axis.plot([x] * (length + 1), range(length + 1), ".", color="#888888", ms=3, zorder=2)
        for t, weight in enumerate(weights[head]):
            part = float(weight) / top
            line = {"color": ink(0.25 + 0.7 * part**0.5), "lw": 0.4 + 6 * part}
            axis.add_patch(Arc((x, t + 0.5), 0.5, 1.0, theta1=-90, theta2=90, zorder=3, **line))
            if weight >= named:
                axis.text(x + 0.34, t + 0.5, f"{100 * weight:.0f}", va="center", fontsize=9, bbox=PLATE)
        axis.text(x + 0.1, -1.1, f"head {head + 1}", ha="center", fontsize=10, color=ink(0.9))
    for mark in marks:
        axis.axhline(mark - 0.5, xmin=0, color="#888888", lw=0.8, ls=(0, (4, 3)), zorder=0)
    axis.set_yticks(range(length + 2), [START, *events, asked], fontsize=10)
    axis.get_yticklabels()[-1].set_fontweight("bold")
    axis.set_ylim(length + 1.5, -1.7)
    axis.set_xlim(-0.2, (heads - 1) * step + 0.75)
    axis.set_xticks([])
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    return figure
