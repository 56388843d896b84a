"""The audit log that cannot be written for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from plugins.base.control import AuditEvent, Outcome
from supervisor import journal
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.audit.schema import AuditError
from supervisor.audit.store import AuditStore
from supervisor.hub import Hub
from supervisor.journal import Journal


class FullDisk:
    """A store that cannot write until there is room."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.refused = asyncio.Event()
        self.stored: list[str] = []

    async def append(self, events: Sequence[AuditEvent], outcomes: Sequence[Outcome]) -> int:
        if not self.room.is_set():
            self.refused.set()
            raise AuditError("The disk is full.")
        self.stored += [event.reason for event in events]
        return len(self.stored)


async def test_while_the_disk_is_full_everybody_is_warned_and_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "_FIRST_PAUSE", 0.001)
    disk, hub = FullDisk(), Hub()
    journal_ = Journal(cast(AuditStore, disk), hub)
    running = asyncio.create_task(journal_.run())
    for number in range(3):
        journal_.note("supervisor", "git", f"event {number}")
    await disk.refused.wait()
    assert hub.warnings == ("The disk is full. Events wait until it can be written again.",)
    disk.room.set()
    await journal_.flush()
    assert sorted(set(disk.stored)) == ["event 0", "event 1", "event 2"]
    assert not hub.warnings
    assert journal_.newest == len(disk.stored)
    running.cancel()


async def test_what_is_flushed_twice_at_once_is_stored_once(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    journal_ = Journal(store, Hub())
    for number in range(2500):
        journal_.note("supervisor", "git", f"event {number}")
    await asyncio.gather(journal_.flush(), journal_.flush())
    store.close()
    rows = AuditReader(tmp_path / "audit.db").rows(AuditFilter(), 0, 5000)
    assert [row.event.reason for row in rows] == [f"event {number}" for number in range(2500)]
