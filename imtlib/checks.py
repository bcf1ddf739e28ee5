"""Claims that a page makes with a number: printed with their tolerance, and raised when they fail."""

from __future__ import annotations


def claim(what: str, found: float, *, at_least: float | None = None, at_most: float | None = None) -> None:
    """State a bound on a computed number, and stop the page if it does not hold.

    What is printed is the bound, not the number's last digits: it is the same on every processor.

    Args:
        what: the claim in words.
        found: the computed number.
        at_least, at_most: the bound; one of them or both.

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
    print(f"{what}: {_bound(at_least, at_most)}")


def _bound(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"
