"""Claims that a page makes with a number: printed with their bounds, and raised when they fail."""

from __future__ import annotations


def claim(
    what: str,
    found: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    digits: int = 2,
) -> None:
    """Print a computed number with the bounds that are claimed for it, and stop the page if it is outside.

    Args:
        what: the claim in words.
        found: the computed number.
        at_least, at_most: the bounds; one of them or both.
        digits: decimal places that are printed: so few that every processor prints the same.

    Raises:
        AssertionError: the number is outside, or not a number.
        ValueError: no bound is given.
    """
    if at_least is None and at_most is None:
        raise ValueError("a claim needs a bound: give at_least or at_most")
    low_holds = at_least is None or found >= at_least
    high_holds = at_most is None or found <= at_most
    if not (low_holds and high_holds):
        raise AssertionError(f"{what}: found {found:.6g}, claimed {_bound(at_least, at_most)}")
    print(f"{what}: {found:.{digits}f} (claimed: {_bound(at_least, at_most)})")


def _bound(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"
