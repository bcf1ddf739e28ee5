"""A claim prints what was computed, and stops at what is false."""

from __future__ import annotations

import pytest

from imtlib.book.claims import claim


def test_a_claim_that_holds_is_printed_with_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    claim("share", 0.5678, at_least=0.4)
    claim("films", 5, at_least=5, at_most=5, digits=0)
    assert capsys.readouterr().out == (
        "share: 0.57 (claimed: at least 0.4)\nfilms: 5 (claimed: between 5 and 5)\n"
    )


@pytest.mark.parametrize("found", [0.3, float("nan")])
def test_a_claim_that_fails_stops(found: float) -> None:
    with pytest.raises(AssertionError, match="share: found"):
        claim("share", found, at_least=0.4)


def test_a_claim_without_a_bound_is_none() -> None:
    with pytest.raises(ValueError, match="needs a bound"):
        claim("share", 0.5)
