"""Attention weights of whole histories, and the figures of attention and of migration."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Arc, PathPatch
from support.worlds import random_histories, small_model

from imtlib.analysis.attention_weights import effective_number, weights_at_end
from imtlib.book.attention_arcs import arcs_figure, short_title
from imtlib.book.flow_diagram import flow_figure, merge_small
from imtlib.data.inputs import inputs
from imtlib.layers.ops import real_events

FLOW = np.array([[4.0, 1.0, 0.0], [2.0, 6.0, 0.5], [0.5, 0.0, 1.0]])


@pytest.mark.parametrize("attention", ["constant", "state", "self"])
def test_weights_at_the_end_are_the_last_row_of_the_layer_s(attention: str) -> None:
    model = small_model(attention)
    histories = random_histories(model.catalogue, [9, 4, 0, 7])
    batch = inputs(histories, model.max_length)
    table = np.asarray(model.attention.attention_weights(model.states(batch), real_events(batch)))
    for batch_size in (1, 64):
        found = weights_at_end(model, histories, batch=batch_size)
        for row, length in enumerate([9, 4, 0, 7]):
            assert found[row].shape == (4, length)
            np.testing.assert_allclose(found[row], table[row, :, length, :length], atol=1e-6)


def test_the_effective_number_counts_what_is_read() -> None:
    rows = np.array([[0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(effective_number(rows), [4, 1, 2])


def test_a_title_loses_its_year_and_gets_its_article_back() -> None:
    assert short_title("Green Mile, The (1999)") == "The Green Mile"
    assert short_title("Monty Python and the Holy Grail (1974)", 10) == "Monty Pyt…"


def test_every_migration_of_every_head_is_an_arc() -> None:
    figure = arcs_figure(np.full((2, 3), 1 / 3), ["a", "b", "c"], "next")
    assert sum(isinstance(patch, Arc) for patch in figure.axes[0].patches) == 6
    with pytest.raises(ValueError, match="give one name an event"):
        arcs_figure(np.full((2, 3), 1 / 3), ["a"], "next")
    plt.close("all")


def test_small_interests_join_and_no_mass_is_lost() -> None:
    merged, names = merge_small(FLOW, ["art", "food", "travel"], keep=1)
    assert names == ["food", "all others"]
    np.testing.assert_allclose(merged, [[6, 2.5], [1, 5.5]])
    same, every = merge_small(FLOW, ["art", "food", "travel"], keep=3)
    assert sorted(every) == ["art", "food", "travel"]
    assert same.sum() == FLOW.sum()


def test_the_largest_ribbons_are_drawn_and_the_named_one_always() -> None:
    names = ["art", "food", "travel"]
    ribbons = [p for p in flow_figure(FLOW, names, ribbons=2).axes[0].patches if isinstance(p, PathPatch)]
    assert len(ribbons) == 2
    figure = flow_figure(FLOW, names, ribbons=2, highlight=("travel", "art"))
    assert sum(isinstance(p, PathPatch) for p in figure.axes[0].patches) == 3
    with pytest.raises(ValueError, match="not in"):
        flow_figure(FLOW, names, highlight=("travel", "music"))
    plt.close("all")
