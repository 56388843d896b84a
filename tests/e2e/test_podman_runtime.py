"""The Docker runtime with Podman: how containers end, what they say, and who takes them over.

The machine's alone: the supervisor of these tests is root, and is nobody in a user's containers.
"""

from __future__ import annotations

import pytest

from supervisor.containers.engine import Engine
from tests.engine import VERSION
from tests.supervisor.containers.docker.conftest import place
from tests.supervisor.containers.docker.test_docker_runtime import (
    test_a_subnet_that_is_taken_gives_way_to_another,
    test_an_end_is_seen_with_exit_status_and_last_words_and_the_container_goes,
    test_one_that_runs_is_adopted_and_its_log_goes_on_without_gap_or_repetition,
    test_signals_reach_it_and_an_end_by_one_is_seen_as_that,
)

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("podman"),
    pytest.mark.parametrize("podman_itself", ["rootful"], indirect=True, scope="session"),
]
__all__ = [
    "place",
    "test_a_subnet_that_is_taken_gives_way_to_another",
    "test_an_end_is_seen_with_exit_status_and_last_words_and_the_container_goes",
    "test_one_that_runs_is_adopted_and_its_log_goes_on_without_gap_or_repetition",
    "test_signals_reach_it_and_an_end_by_one_is_seen_as_that",
]


@pytest.fixture
def engine(podman: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("DOCKER_HOST", podman.url)
    return podman


@pytest.fixture
def version(engine: Engine) -> str:
    return VERSION
