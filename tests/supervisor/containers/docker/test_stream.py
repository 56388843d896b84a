"""Streams of a real engine leave no connection open, however they end."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.containers.engine import Engine
from supervisor.containers.off_loop import off_loop
from supervisor.containers.stream import Stream
from tests.supervisor.containers.docker.conftest import calls
from tests.supervisor.harness import Place

pytestmark = pytest.mark.xdist_group("engine")


def sockets() -> set[str]:
    """The sockets that this process has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own is closed by now
            found.add(os.readlink(entry))
    return {target for target in found if target.startswith("socket:")}


@pytest.fixture
def before() -> Iterator[set[str]]:
    """Those that were open before; Python does not help, which would close them some time later."""
    gc.disable()
    yield sockets()
    gc.enable()


def test_one_that_is_closed_while_somebody_reads_it_is_let_go_of(
    place: Place, engine: Engine, before: set[str]
) -> None:
    stream = calls(engine, place[0]).events()

    def read() -> None:
        with stream:
            list(stream)

    reader = threading.Thread(target=read)
    reader.start()
    stream.close()
    reader.join(60)
    assert sockets() <= before


async def test_one_that_nobody_waits_for_any_more_is_let_go_of(place: Place, engine: Engine) -> None:
    opening, given_up = threading.Event(), threading.Event()
    opened: list[Stream] = []

    def slowly() -> Stream:
        opening.set()
        given_up.wait(60)
        opened.append(calls(engine, place[0]).events())
        return opened[0]

    waiting = asyncio.ensure_future(off_loop(slowly))
    await asyncio.to_thread(opening.wait, 60)
    waiting.cancel()
    given_up.set()
    async with asyncio.timeout(60):
        while not (opened and opened[0].closed):  # noqa: ASYNC110 - another thread does it
            await asyncio.sleep(0.01)
