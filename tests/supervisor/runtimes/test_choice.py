"""Which runtime is taken where there is no engine, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.containers.engine_errors import EngineAway
from supervisor.home import Home
from supervisor.runtimes.choice import choose
from tests.supervisor.harness import write_policy


@pytest.fixture
def home(place: tuple[Home, Path], monkeypatch: pytest.MonkeyPatch) -> Home:
    """On a machine without an engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place[1]}/none.sock")
    write_policy(place[0], "git")
    return place[0]


def test_without_an_engine_auto_takes_processes_and_says_why(home: Home) -> None:
    chosen = choose(home, "auto")
    assert chosen.name == "process"
    assert "There is no container engine" in chosen.reason


def test_processes_are_taken_when_they_are_wanted(home: Home) -> None:
    assert choose(home, "process").name == "process"


def test_containers_need_an_engine(home: Home) -> None:
    with pytest.raises(EngineAway, match="There is no container engine"):
        choose(home, "docker")


def test_a_desk_waits_for_an_engine_that_is_not_there_yet(home: Home) -> None:
    assert choose(home, "docker", wait=True).name == "docker"
