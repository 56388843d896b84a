"""Podman's service is absent or killed: what runs goes on, and all is found again.

The machine's alone: the supervisor of these tests is root, and is nobody in a user's containers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine import VERSION
from tests.podman import Podman, Service
from tests.supervisor.containers.docker.test_docker_supervised import set_up
from tests.supervisor.containers.docker.test_engine_trouble import (
    test_an_engine_that_is_not_there_yet_is_named_and_used_as_soon_as_it_is,
    test_what_ended_while_the_engine_was_away_is_started_again,
    test_where_containers_outlive_the_engine_they_are_the_same_afterwards,
)
from tests.supervisor.harness import Place, scratch

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("podman"),
    pytest.mark.parametrize("podman_itself", ["rootful"], indirect=True, scope="session"),
    # The SDK leaves sockets open on which it failed to connect.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
__all__ = [
    "test_an_engine_that_is_not_there_yet_is_named_and_used_as_soon_as_it_is",
    "test_what_ended_while_the_engine_was_away_is_started_again",
    "test_where_containers_outlive_the_engine_they_are_the_same_afterwards",
]


@pytest.fixture
def own(podman_itself: Podman) -> Iterator[Service]:
    """A service that does not run."""
    service = Service(podman_itself, "own.sock")
    yield service
    service.stop()


@pytest.fixture
def project(own: Service) -> Iterator[Place]:
    with scratch() as place:
        yield set_up(place)


@pytest.fixture
def version() -> str:
    return VERSION
