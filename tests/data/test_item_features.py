"""What is known of items is told as it is; what is missing or hidden changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from imtlib.data.item_features import describe
from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.errors import LogError

TITLES = ["The Red House (1990)", "Red, red sea", "2001: A House (1968)", "", "Blue sea", "Seven"]


def films() -> BehaviourLog:
    """Six films: the second has no year, the fourth no title, the fifth no genre; the last nobody watched."""
    items = pd.DataFrame(
        {
            "item": list("abcdef"),
            "title": TITLES,
            "year": [1990, None, 1968, 2000, 2000, 1980],
            "interests": ["war", "war art", "art", "war", "", "art"],
        }
    )
    events = pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": list("abcde"), "time": [1, 2, 3, 1, 2]}).assign(
        scenario="cinema", behaviour="watch"
    )
    events = pd.concat([events, events.assign(user=3, item="f")[:1]])
    log = read_log(events, items=items, interest_separator=" ")
    return log.filter(np.array(log.catalogue.items)[log.item] != "f")


def test_describe_tells_words_numbers_and_interests_as_they_are() -> None:
    log = films()
    found = describe(log, text=["title"], numbers=["year"])
    assert found.names == ("id", "text", "interests", "numbers")
    words = found.vocabularies["text"]
    assert set(words) == {"red", "house", "sea"}  # in two known titles each; "1990" is no word
    told = [{words[c - 1] for c in row if c} for row in found.bags["text"]]
    assert told == [{"red", "house"}, {"red", "sea"}, {"house"}, set(), {"sea"}, set()]
    kinds = found.vocabularies["interests"]
    held = [{kinds[c - 1] for c in row if c} for row in found.bags["interests"]]
    assert held == [{"war"}, {"war", "art"}, {"art"}, {"war"}, set(), {"art"}]
    value, flag = found.vectors["numbers"].T
    assert flag.tolist() == [1, 0, 1, 1, 1, 1]
    known = value[flag > 0]
    assert known.mean() == pytest.approx(0, abs=1e-6)
    assert known.std() == pytest.approx(1, abs=1e-6)
    assert value[1] == 0
    assert found.known.tolist() == [True] * 5 + [False]
    expected = [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [0, 0, 1, 1]]
    np.testing.assert_array_equal(found.present, np.array(expected, bool))


def test_words_of_new_items_alone_are_not_learnt() -> None:
    log = films()
    everywhere = describe(log, text=["title"], least=1)
    assert "seven" not in everywhere.vocabularies["text"]
    assert "2001" in everywhere.vocabularies["text"]


def test_describe_reads_signs_of_a_script_without_spaces() -> None:
    log = films()
    titles = log.item_features.assign(title=["红房子", "红海", "房子", "海", "海", "红"])
    found = describe(replace(log, item_features=titles), text=["title"], split="character")
    assert set(found.vocabularies["text"]) == set("红房子海")


def test_keep_leaves_out_the_rest() -> None:
    whole = describe(films(), text=["title"], numbers=["year"])
    some = whole.keep("id", "numbers")
    assert some.names == ("id", "numbers")
    np.testing.assert_array_equal(some.present, whole.present[:, [0, 3]])
    content = whole.keep("text")
    assert not content.present[:, 0].any()
    assert content.known.tolist() == whole.known.tolist()
    assert whole.present[:5, 0].all()  # what it was made from is not changed
    with pytest.raises(ValueError, match="no modality 'picture'"):
        whole.keep("picture")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"text": ["titel"]}, "no feature 'titel': there are 'title', 'year'"),
        ({"numbers": ["title"]}, "'title' is not of numbers"),
        ({"text": ["title"], "least": 9}, "no word occurs in 9 items"),
        ({"vectors": {"image": np.zeros((5, 2))}}, r"shape \(5, 2\), expected \(6, D\)"),
        ({"vectors": {"image": np.zeros(6)}}, r"shape \(6,\)"),
        (
            {"vectors": {"image": np.array([[0, 1.0]] * 5 + [[0, np.inf]])}},
            r"item 'f' \(row 5\) is not finite",
        ),
        (
            {"vectors": {"image": np.array([[0, 1.0]] * 5 + [[0, np.nan]])}},
            r"item 'f' \(row 5\) is not finite",
        ),
        ({"vectors": {"image": np.full((6, 2), np.nan)}}, "missing for every item"),
        ({"vectors": {"text": np.zeros((6, 2))}}, "name is taken"),
    ],
)
def test_what_cannot_be_described(asked: dict, says: str) -> None:
    with pytest.raises(LogError, match=says):
        describe(films(), **asked)


def test_a_number_that_is_not_finite() -> None:
    log = films()
    features = log.item_features.assign(year=[1, 2, 3, np.inf, 4, 5])
    with pytest.raises(LogError, match=r"'year' of item 'd' \(row 3\)"):
        describe(replace(log, item_features=features), numbers=["year"])


def test_given_vectors_may_be_missing() -> None:
    image = np.array([[1.0, 5], [np.nan, np.nan], [3, 1], [2, 3], [2, 3], [2, 3]])
    found = describe(films(), vectors={"image": image})
    assert found.present[:, -1].tolist() == [True, False, True, True, True, True]
    rows = found.vectors["image"]
    assert rows[1].tolist() == [0, 0]
    np.testing.assert_allclose(np.delete(rows, 1, axis=0).mean(axis=0), 0, atol=1e-6)
    assert np.mean(np.delete(rows, 1, axis=0) ** 2) == pytest.approx(1, abs=1e-5)
