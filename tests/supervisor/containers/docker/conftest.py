"""Plugins in containers of a real engine, each test in a home of its own; nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.containers.calls import ContainerCalls
from supervisor.containers.connection import connected
from supervisor.containers.engine import Engine
from supervisor.containers.networks import ContainerNetworks
from supervisor.home import Home
from tests.engine import engine_or_skip, images_or_skip
from tests.supervisor.harness import Place, scratch


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    found = engine_or_skip()
    yield found
    found.close()


@pytest.fixture(scope="session")
def version(engine: Engine) -> str:
    """The images' version."""
    return images_or_skip(engine, "git")


@pytest.fixture
def place(engine: Engine) -> Iterator[Place]:
    with scratch() as (home, workspace):
        yield home, workspace
        clean(engine, home)


@pytest.fixture
def other_place(engine: Engine) -> Iterator[Place]:
    with scratch() as (home, workspace):
        yield home, workspace
        clean(engine, home)


def calls(engine: Engine, home: Home) -> ContainerCalls:
    return connected(engine, home).calls


def networks(engine: Engine, home: Home) -> ContainerNetworks:
    return connected(engine, home).networks


def clean(engine: Engine, home: Home) -> None:
    with suppress(ClaudeContainerError):
        for found in calls(engine, home).all():
            calls(engine, home).remove(found.id)
        networks(engine, home).remove_unused()
