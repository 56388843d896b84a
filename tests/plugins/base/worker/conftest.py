from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.plugins.base.workers import Bench, Place, a_place, a_worker


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as place:
        yield place


@pytest.fixture
async def bench(place: Place) -> AsyncIterator[Bench]:
    async with a_worker(place.spec()) as worker:
        yield Bench(place, worker)
