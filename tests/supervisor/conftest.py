"""A home and a workspace to supervise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.supervisor.harness import Place, scratch


@pytest.fixture
def place() -> Iterator[Place]:
    with scratch() as place:
        yield place
