"""Catalogues: what is refused as another one, and what the refusal says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.worlds import small_catalogue

from imtlib.data.catalogue import Catalogue
from imtlib.errors import ModelFileError

NAMES = small_catalogue()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"items": ("item 0", "film", *NAMES.items[2:])},
            "items: 1 of the model alone, such as 'item 1' and 1 of the log alone, such as 'film'. Fix it.",
        ),
        ({"scenarios": NAMES.scenarios[::-1]}, "scenarios: the same names in another order. Fix it."),
        ({"behaviours": ("view",)}, "behaviours: 1 of the model alone, such as 'buy'. Fix it."),
        (
            {"user_features": {"group": ("a", "c"), "age": ()}},
            "user features: 1 of the model alone, such as 'group b' and 2 of the log alone, such as 'age'.",
        ),
        (
            {"item_interests": NAMES.item_interests[[1, 0, *range(2, 12)]]},
            f"interests of 2 items, such as 'item 0': {NAMES.interests_of(0)} of the model, "
            f"{NAMES.interests_of(1)} of the log. Fix it.",
        ),
        (
            {"interests": ("art", "food", "sport", "music"), "scenarios": ("shop", "video", "radio")},
            "scenarios: 1 of the model alone, such as 'news' and 1 of the log alone, such as 'radio'; "
            "interests: 1 of the model alone, such as 'travel' and 1 of the log alone, such as 'music'.",
        ),
    ],
)
def test_another_catalogue_is_refused_with_what_differs(changed: dict[str, object], says: str) -> None:
    other = replace(NAMES, **changed)
    with pytest.raises(ModelFileError) as refused:
        NAMES.require_same(other, "the model", "the log", "Fix it.")
    assert str(refused.value).startswith("the catalogue of the log is not that of the model: " + says)


def test_the_same_catalogue_made_twice_is_the_same() -> None:
    NAMES.require_same(Catalogue.unpack(NAMES.pack()), "the model", "the log", "Fix it.")
