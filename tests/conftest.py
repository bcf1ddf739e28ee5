"""What tests share: made once a session, and changed by none of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
import tensorflow as tf
from support.shapes import check_shapes

check_shapes(
    "imtlib.layers",
    "imtlib.losses",
    "imtlib.encoding",
    "imtlib.attention",
    "imtlib.prediction",
    "imtlib.transition",
    "imtlib.recommendation",
)

from support.graphs import let_graphs_go
from support.mirrored import load_mirrored
from support.worlds import small_catalogue, small_model

from imtlib.data.catalogue import Catalogue
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split, leave_one_out
from imtlib.datasets.registry import load_dataset
from imtlib.errors import DownloadError
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    yield
    let_graphs_go()


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return small_catalogue()


@pytest.fixture(scope="session")
def small_log() -> BehaviourLog:
    """48 users with a dozen events each, in five scenarios."""
    return simulate(users=48, events=12)[0]


@pytest.fixture(scope="session")
def small_split(small_log: BehaviourLog) -> Split:
    return leave_one_out(small_log)


@pytest.fixture(scope="session", params=["constant", "state", "self", "wide"])
def model(request: pytest.FixtureRequest) -> InterestMigrationModel:
    if request.param == "wide":
        return small_model("constant", layers=2, matrix_from_state=True, successors=True)
    return small_model(request.param)


@pytest.fixture(scope="session")
def constant_model() -> InterestMigrationModel:
    return small_model("constant")


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Run graphs step by step: of a few steps of a small model, tracing them would take the most time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def movielens() -> BehaviourLog:
    """MovieLens-1M, read once; the test is skipped where it cannot be fetched."""
    try:
        return load_dataset("movielens-1m")
    except DownloadError as error:
        pytest.skip(f"MovieLens-1M is not in the cache and cannot be fetched: {error}")


@pytest.fixture(scope="session")
def movielens_split(movielens: BehaviourLog) -> Split:
    return leave_one_out(movielens)


@pytest.fixture(scope="session")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BehaviourLog]:
    """Read a data set by name from the mirror, once; the test is skipped where there is none."""
    cache = tmp_path_factory.mktemp("cache")
    return functools.cache(lambda name: load_mirrored(name, cache))
