"""A home and a workspace to supervise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.home import Home
from tests.supervisor.harness import scratch


@pytest.fixture
def place() -> Iterator[tuple[Home, Path]]:
    with scratch() as place:
        yield place
