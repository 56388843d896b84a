"""The audit log of a plugin without a supervisor: each record once, whatever ends in the middle."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.base.control import Hello, Lockdown, Message, SetPolicy
from plugins.base.control.file_link import FileLink, Files
from plugins.base.events.spool import Spool


class Owner:
    """A plugin that nobody tells anything."""

    def hello(self) -> Hello:
        raise NotImplementedError

    def news(self) -> list[Message]:
        return []

    def stats(self) -> Message:
        raise NotImplementedError

    def set_policy(self, message: SetPolicy) -> None: ...

    def set_lockdown(self, message: Lockdown) -> None: ...

    def stop(self) -> None: ...

    def other(self, message: Message) -> None: ...


def record(number: int) -> bytes:
    return b'{"id": "%d", "verdict": "allowed", "plugin": "git", "args": []}' % number


class Place:
    def __init__(self, root: Path) -> None:
        self.files = Files("git", root, root / "audit.jsonl")
        self._spool = root / "spool"

    def opened(self) -> Spool:
        return Spool.open(self._spool)

    def lines(self) -> list[bytes]:
        return self.files.audit.read_bytes().splitlines() if self.files.audit.exists() else []

    async def follow(self, spool: Spool, until: Callable[[], bool]) -> None:
        """A plugin's life, until then; it ends as by a kill."""
        running = asyncio.create_task(FileLink(self.files, spool, Owner()).run())
        async with asyncio.timeout(30):
            while not until():  # noqa: ASYNC110 -- a task writes
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_what_was_written_before_a_kill_is_not_written_again(place: Place) -> None:
    first = place.opened()
    for number in range(3):
        first.event(record(number))
    await place.follow(first, lambda: len(place.lines()) == 3)
    second = place.opened()  # the first was not closed
    second.event(record(3))
    await place.follow(second, lambda: record(3) in place.lines())
    assert place.lines() == [record(number) for number in range(4)]


async def test_what_was_written_into_a_log_that_was_put_away_is_not_written_again(place: Place) -> None:
    first = place.opened()
    first.event(record(0))
    await place.follow(first, lambda: len(place.lines()) == 1)
    place.files.audit.rename(place.files.audit.with_name("audit-1.jsonl"))
    second = place.opened()
    second.event(record(1))
    await place.follow(second, lambda: record(1) in place.lines())
    assert place.lines() == [record(1)]


async def test_a_full_disk_leaves_no_half_of_a_record(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write, full = os.write, [True]

    def half(descriptor: int, data: bytes) -> int:
        if full:
            full.clear()
            data = data[: len(data) // 2]
        return write(descriptor, data)

    spool = place.opened()
    spool.event(record(0))
    monkeypatch.setattr("plugins.base.control.file_link.os.write", half)
    monkeypatch.setattr("plugins.base.control.file_link._TRY_AGAIN", 0.01)
    await place.follow(spool, lambda: place.lines() == [record(0)])
