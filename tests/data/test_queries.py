"""Queries: histories in the codes of another catalogue, and what has no code there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.worlds import random_histories, small_catalogue

from imtlib.data.queries import in_catalogue
from imtlib.data.reader import read_log
from imtlib.errors import UnknownNameError

NAMES = small_catalogue()  # one user feature, group: a or b
HISTORIES = random_histories(NAMES, [4, 0, 2])


def test_a_profile_is_translated_by_feature_and_category() -> None:
    wider = replace(NAMES, user_features={"age": ("9", "30"), "group": ("c", "b", "a")})
    found = in_catalogue(HISTORIES, wider).profile
    assert found.dtype == np.float32
    a, b = HISTORIES.profile.T
    np.testing.assert_array_equal(found, np.stack([0 * a, 0 * a, 0 * a, b, a], axis=1))


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ({"group": ("x", "y")}, r"a profile holds group 'a'.* it holds of group, \['x', 'y'\]"),
        ({"age": ("9",)}, r"a profile holds group 'a'.* it holds the features \['age'\]"),
        ({}, r"it holds the features \[\].*without_user_features"),
    ],
)
def test_a_profile_that_the_catalogue_cannot_hold_is_refused(
    features: dict[str, tuple[str, ...]], says: str
) -> None:
    with pytest.raises(UnknownNameError, match=says):
        in_catalogue(HISTORIES, replace(NAMES, user_features=features))


def test_a_category_that_no_profile_holds_need_not_be_known() -> None:
    only = int(HISTORIES.profile[0].argmax())
    kept = in_catalogue(HISTORIES.take([0]), replace(NAMES, user_features={"group": ("ab"[only],)}))
    assert kept.profile.tolist() == [[1]]


def test_a_log_can_do_without_what_is_known_of_its_users() -> None:
    events = pd.DataFrame({"user": ["u"], "item": ["i"], "time": [1]})
    users = pd.DataFrame({"user": ["u"], "age": [9]})
    log = read_log(events, users=users, scenario=None, behaviour=None, user_features=["age"])
    names = replace(log.catalogue, user_features={"town": ("Rom",)})
    with pytest.raises(UnknownNameError, match="age '9'"):
        in_catalogue(log.histories("u"), names)
    history = in_catalogue(log.without_user_features().histories("u"), names)
    assert history.profile.tolist() == [[0]]
    assert history.item.tolist() == [0]


def test_a_category_of_a_user_that_the_log_does_not_know_is_refused() -> None:
    events = pd.DataFrame({"user": ["u", "v"], "item": ["i", "i"], "time": [1, 1]})
    users = pd.DataFrame({"user": ["u", "v"], "age": [9, None]})
    log = read_log(events, users=users, scenario=None, behaviour=None, user_features=["age"])
    strange = replace(log, catalogue=replace(log.catalogue, user_features={"age": ("10",)}))
    with pytest.raises(UnknownNameError, match=r"user 'u' has age '9'.* it holds \['10'\]"):
        strange.histories_before(np.array([0]))
