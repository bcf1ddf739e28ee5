"""Whether two logs are one."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd

from imtlib.data.log import BehaviourLog


def assert_same(found: BehaviourLog, expected: BehaviourLog) -> None:
    """Equal in every byte: names, arrays with their types, tables with theirs, and notes."""
    assert (found.users, found.notes) == (expected.users, expected.notes)
    for field in fields(expected.catalogue):
        left, right = (getattr(log.catalogue, field.name) for log in (found, expected))
        if field.name == "item_interests":
            np.testing.assert_array_equal(left, right, strict=True)
        else:
            assert left == right, field.name
    assert list(found.catalogue.user_features) == list(expected.catalogue.user_features)
    for name in ("starts", "item", "scenario", "behaviour", "time"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)
    for name in ("item_features", "user_features"):
        pd.testing.assert_frame_equal(
            getattr(found, name), getattr(expected, name), check_exact=True, check_column_type="exact"
        )
