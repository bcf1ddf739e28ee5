"""The interest graph, against numbers by hand and against chance."""

import numpy as np
import pandas as pd
import pytest

from imtlib.analysis.interest_graph import interest_graph
from imtlib.data.reader import read_log

ITEMS = pd.DataFrame({"item": ["a", "b", "c"], "interests": ["x", "x|y", "z"]})


def graph(rows: list[tuple[str, str, str]]):
    table = pd.DataFrame(rows, columns=["user", "item", "scenario"])
    table["time"] = range(len(table))
    return interest_graph(read_log(table, items=ITEMS, behaviour=None))


def test_by_hand() -> None:
    # u: a → b → a, all at home; v: one event, so no step. Interests x, y, z.
    found = graph([("u", "a", "home"), ("v", "c", "home"), ("u", "b", "home"), ("u", "a", "home")])
    assert found.steps.tolist() == [[1.0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]
    # n = 2; leaving: x 1.5, y 0.5; arriving: x 1.5, y 0.5.
    expected = [
        [1.0 * 2 / (1.5 * 1.5), 0.5 * 2 / (1.5 * 0.5), np.nan],
        [0.5 * 2 / (0.5 * 1.5), 0, np.nan],
        [np.nan, np.nan, np.nan],
    ]
    np.testing.assert_allclose(found.lift, expected)
    np.testing.assert_allclose(found.lift_between[0, 0], expected)


def test_steps_between_scenarios_have_their_own_margins() -> None:
    rows = [
        ("u", "a", "home"),
        ("u", "c", "shop"),
        ("u", "a", "home"),
        ("u", "a", "shop"),
        ("u", "c", "shop"),
    ]
    found = graph(rows)
    home, shop = 0, 1
    x, z = 0, 2
    assert found.steps_between.sum(axis=(2, 3)).tolist() == [[0, 2], [1, 1]]
    assert found.steps_between[home, shop, x, z] == 1
    assert found.steps_between[home, shop, x, x] == 1
    assert found.lift_between[home, shop, x, z] == 1  # from x only, so what it leads to is what there is
    assert np.isnan(found.lift_between[home, home]).all()
    assert found.lift[x, z] == pytest.approx(2 * 4 / (3 * 2))
    np.testing.assert_allclose(found.steps, found.steps_between.sum(axis=(0, 1)))


def test_no_step_crosses_from_one_user_to_the_next() -> None:
    found = graph([("u", "a", "home"), ("v", "c", "home"), ("w", "b", "home")])
    assert found.steps.sum() == 0
    assert np.isnan(found.lift).all()


def test_events_at_random_have_a_lift_near_one() -> None:
    rng = np.random.default_rng(0)
    items = rng.choice(["a", "b", "c"], 60_000, p=[0.5, 0.3, 0.2])
    users = rng.integers(0, 1000, 60_000).astype(str)
    found = graph(list(zip(users, items, ["home"] * 60_000, strict=True)))
    assert found.steps.sum() == pytest.approx(59_000)
    np.testing.assert_allclose(found.lift, 1, atol=0.05)


def test_counting_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows = [
        (f"{u}", str(i), str(s))
        for u, i, s in zip(
            rng.integers(0, 9, 200), rng.choice(list("abc"), 200), rng.choice(["s", "t"], 200), strict=True
        )
    ]
    whole = graph(rows)
    monkeypatch.setattr("imtlib.analysis.interest_graph.CHUNK", 7)
    pieces = graph(rows)
    np.testing.assert_allclose(pieces.steps_between, whole.steps_between)
    np.testing.assert_allclose(pieces.lift, whole.lift)
