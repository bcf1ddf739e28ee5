"""Events in rows: taken, filtered and gathered, against rows held as plain lists."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.worlds import random_histories, small_catalogue

from imtlib.data.events import Events, windows

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=6)


def rows_of(events: Events) -> list[list[tuple[int, ...]]]:
    """Every event as a tuple, in one list for each row."""
    columns = np.stack([events.item, events.scenario, events.behaviour, events.time], axis=1)
    return [
        [tuple(map(int, event)) for event in columns[a:b]]
        for a, b in zip(events.starts[:-1], events.starts[1:], strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(LENGTHS, st.data())
def test_rows_are_taken_whole_and_in_the_order_asked_for(lengths: list[int], data: st.DataObject) -> None:
    histories = random_histories(small_catalogue(), lengths)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=8))
    whole = rows_of(histories)
    taken = histories.take(np.array(rows, np.int64))
    assert rows_of(taken) == [whole[row] for row in rows]
    assert taken.request_scenario.tolist() == [histories.request_scenario[row] for row in rows]
    assert np.array_equal(taken.profile, histories.profile[rows])


@settings(max_examples=30, deadline=None)
@given(LENGTHS, st.data())
def test_a_filter_keeps_the_rows_and_drops_the_other_events(lengths: list[int], data: st.DataObject) -> None:
    histories = random_histories(small_catalogue(), lengths)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=sum(lengths), max_size=sum(lengths))), bool)
    kept = histories.filter(keep)
    marks = iter(keep)
    assert rows_of(kept) == [[event for event in row if next(marks)] for row in rows_of(histories)]
    assert np.array_equal(kept.request_time, histories.request_time)


@settings(max_examples=30, deadline=None)
@given(LENGTHS)
def test_each_event_knows_its_row_and_its_place(lengths: list[int]) -> None:
    histories = random_histories(small_catalogue(), lengths)
    pairs = [(row, place) for row, length in enumerate(lengths) for place in range(length)]
    assert histories.lengths.tolist() == lengths
    assert list(zip(histories.owner.tolist(), histories.place.tolist(), strict=True)) == pairs


def test_windows_are_gathered_from_the_middle_of_rows() -> None:
    histories = random_histories(small_catalogue(), [4, 0, 3])
    starts, events = windows(np.array([1, 4]), np.array([2, 0]))
    assert (starts.tolist(), events.tolist()) == ([0, 2, 2], [1, 2])
    assert rows_of(histories.gather(starts, events)) == [rows_of(histories)[0][1:3], []]


def test_rows_are_padded_on_the_right() -> None:
    histories = random_histories(small_catalogue(), [2, 0, 3])
    table = histories.padded(np.arange(5, dtype=np.int32))
    assert table.dtype == np.int32
    assert table.tolist() == [[0, 1, -1], [-1, -1, -1], [2, 3, 4]]
    assert random_histories(small_catalogue(), [0]).padded(np.zeros(0)).shape == (1, 0)
