"""What tests of the model share."""

from __future__ import annotations

import pytest
from support.worlds import small_catalogue, trained

from imtlib.data.catalogue import Catalogue
from imtlib.model import InterestMigrationModel


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return small_catalogue()


@pytest.fixture(scope="session", params=["constant", "state", "self", "wide"])
def model(request: pytest.FixtureRequest) -> InterestMigrationModel:
    if request.param == "wide":
        return trained("constant", matrix_from_state=True, successors=True)
    return trained(request.param, use_profile=True, use_request_time=True)


@pytest.fixture(scope="session")
def constant_model() -> InterestMigrationModel:
    return trained("constant", use_profile=True, use_request_time=True)
