"""The profile's interest shares, against numbers by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imtlib.data.profile import interest_shares
from imtlib.data.reader import read_log

DAY = 86_400
ITEMS = pd.DataFrame({"item": ["a", "b", "c"], "interests": ["x", "x|y", "z"]})


def shares(rows: list[tuple[str, float]], at: float, half_life: float = 30.0) -> list[float]:
    """Of one user with (item, day), asked on a day."""
    table = pd.DataFrame(rows, columns=["item", "day"])
    table["user"], table["time"] = "u", (table["day"] * DAY).astype("int64")
    log = read_log(table, items=ITEMS, scenario=None, behaviour=None)
    return interest_shares(log.histories("u", scenario="all", at=at * DAY), half_life)[0].tolist()


def test_by_hand() -> None:
    # Ages 30, 10 and 0 days, half-life 10: weights 1/8, 1/2 and 1; b gives half to x and half to y.
    found = shares([("a", 0), ("b", 20), ("c", 30)], at=30, half_life=10)
    np.testing.assert_allclose(found, np.array([1 / 8 + 1 / 4, 1 / 4, 1]) / (1 / 8 + 1 / 2 + 1), rtol=1e-6)


def test_the_time_of_the_request_alone_changes_no_share() -> None:
    rows = [("a", 0.0), ("b", 20.0), ("c", 30.0)]
    np.testing.assert_allclose(shares(rows, at=30), shares(rows, at=90), rtol=1e-6)
    assert sum(shares(rows, at=1e6)) == pytest.approx(1)  # thousands of half-lives later


def test_without_decay_shares_are_counts() -> None:
    assert shares([("a", 0), ("a", 5), ("c", 9), ("c", 9)], at=9, half_life=np.inf) == [0.5, 0, 0.5]


def test_an_empty_history_is_all_zero() -> None:
    assert shares([("a", 5)], at=4) == [0, 0, 0]


@pytest.mark.parametrize("half_life", [0, -1, float("nan")])
def test_refuses_a_half_life_that_is_none(half_life: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        shares([("a", 0)], at=1, half_life=half_life)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.integers(0, 400)), min_size=1))
def test_many_users_at_once_equal_a_loop(rows: list[tuple[str, str, int]]) -> None:
    table = pd.DataFrame(rows, columns=["user", "item", "day"])
    table["time"] = table["day"] * DAY
    log = read_log(table, items=ITEMS, scenario=None, behaviour=None)
    histories = log.histories_before(np.arange(len(log)))
    found = interest_shares(histories)
    assert found.dtype == np.float32
    kinds = log.catalogue.interests
    for row in range(len(log)):
        total = np.zeros(3)
        for event in range(histories.starts[row], histories.starts[row + 1]):
            days = (histories.request_time[row] - histories.time[event]) / DAY
            of = [kinds.index(name) for name in ["x", "x|y", "z"][histories.item[event]].split("|")]
            total[of] += 0.5 ** (days / 30) / len(of)
        expected = total / total.sum() if total.any() else total
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-7)
