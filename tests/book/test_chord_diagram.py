"""Wheels of migration between scenarios: what is above chance is drawn, as thick as it is frequent."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import PathPatch

from imtlib.book.chord_diagram import chord_figure, comets


def a_wheel() -> np.ndarray:
    wheel = np.zeros((3, 3, 2, 2))
    wheel[0, 1, 0, 1], wheel[0, 2, 0, 0], wheel[1, 0, 1, 1] = 0.02, 0.01, 0.03
    wheel[2, 2, 0, 1] = 0.5  # stays in its scenario
    wheel[1, 2, 0, 0] = -0.1
    return wheel


def test_every_migration_above_chance_is_a_comet() -> None:
    figure = chord_figure([a_wheel(), 0 * a_wheel()], ["one", "none"], ["a", "b", "c"], ["x", "y"])
    counts = [sum(isinstance(p, PathPatch) for p in axis.patches) for axis in figure.axes]
    assert counts == [3, 0]
    with pytest.raises(ValueError, match="give one each"):
        chord_figure([a_wheel()], [], ["a", "b", "c"], ["x", "y"])
    with pytest.raises(ValueError, match="only 5 colours"):
        chord_figure([np.zeros((6, 6, 2, 2))], [""], list("abcdef"), ["x", "y"])
    plt.close("all")


def test_a_comet_is_as_thick_as_its_mass_and_they_lie_side_by_side() -> None:
    wheel = np.clip(a_wheel(), 0, 0.1)
    wheel[2, 2] = 0
    found = comets(wheel / 0.03)
    thick = {(a, y, round(end - begin, 6)) for a, y, begin, end, _ in found}
    most = max(end - begin for _, _, begin, end, _ in found)
    assert thick == {(0, 0, round(most * 2 / 3, 6)), (0, 0, round(most / 3, 6)), (1, 1, round(most, 6))}
    one, two = sorted((begin, end) for a, _, begin, end, _ in found if a == 0)
    assert one[1] == pytest.approx(two[0])
