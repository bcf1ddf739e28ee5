"""The data sets of the book, by name."""

from __future__ import annotations

from collections.abc import Callable

from imtlib.data.log import BehaviourLog
from imtlib.datasets.amazon import amazon_food_kitchen
from imtlib.datasets.movielens import movielens_1m, movielens_100k
from imtlib.datasets.simulated import between, late, small, unlike
from imtlib.datasets.xmarket import xmarket
from imtlib.errors import UnknownNameError

DATASETS: dict[str, Callable[[], BehaviourLog]] = {
    "movielens-1m": movielens_1m,
    "movielens-100k": movielens_100k,
    "simulated-small": lambda: small()[0],
    "simulated-late": late,
    "simulated-unlike": unlike,
    "simulated-between": lambda: between(migration=1.0)[0],
    "amazon-food-kitchen": amazon_food_kitchen,
    "xmarket": xmarket,
}


def load_dataset(name: str) -> BehaviourLog:
    """Load one of the book's data sets: fetched when it is first asked for, then from the cache.

    Args:
        name: `"movielens-1m"` or `"movielens-100k"`, one scenario each; `"amazon-food-kitchen"`, two domains
            with the same people, or `"xmarket"`, three markets that share items; or one that is simulated on
            the spot: `"simulated-small"`, which `simulate()` writes, and `"simulated-late"`,
            `"simulated-unlike"` and `"simulated-between"`, see `imtlib.datasets.simulated`.

    Returns:
        The log.

    Raises:
        UnknownNameError: there is no data set of this name; the message lists those there are.
        DownloadError: it is not in the cache and cannot be fetched.
    """
    try:
        load = DATASETS[name]
    except KeyError:
        raise UnknownNameError(
            f"unknown data set {name!r}: there are {', '.join(DATASETS)}. For your own data there is "
            f"`read_log`."
        ) from None
    return load()
