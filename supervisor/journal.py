"""What goes into the audit log from the supervisor's side, and the patience when it cannot be written.

Nothing is given up: while the disk is full, plugins keep their events in their spools, the supervisor
keeps its own in memory, the operator is warned, and writing is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Literal, NoReturn

from plugins.base.control import AuditEvent, Outcome
from plugins.base.text import printable
from supervisor.audit.schema import AuditError
from supervisor.audit.store import AuditStore
from supervisor.hub import Hub

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds between attempts
_MOST_KEPT = 100_000  # of the supervisor's own events


class Journal:
    """Writes to the store in the order in which it is told."""

    def __init__(self, store: AuditStore, hub: Hub) -> None:
        self.newest = 0
        self._store = store
        self._hub = hub
        self._pending: deque[AuditEvent] = deque(maxlen=_MOST_KEPT)
        self._wake = asyncio.Event()

    def note(
        self, layer: Literal["policy", "supervisor"], plugin: str, reason: str, *, policy: str = ""
    ) -> None:
        """Record that something happened: a start, a stop, a crash, a change of policy."""
        log.info("%s: %s", plugin or "supervisor", reason)
        self.record(
            AuditEvent(
                id=uuid.uuid4().hex, time=time.time(), plugin=plugin, layer=layer,
                reason=printable(reason), policy=policy, caller="supervisor",
            )
        )  # fmt: skip

    def record(self, event: AuditEvent) -> None:
        self._pending.append(event)
        self._wake.set()

    async def run(self) -> NoReturn:
        """Write what was recorded."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Return when everything recorded so far is written."""
        while batch := tuple(self._pending)[:1000]:
            await self.store(batch, ())
            for event in batch:  # another flush may have written it meanwhile: that changes nothing
                if self._pending and self._pending[0] is event:
                    self._pending.popleft()

    async def store(self, events: Sequence[AuditEvent], outcomes: Sequence[Outcome]) -> None:
        """Return when this is written, however long that takes."""
        pause = _FIRST_PAUSE
        while not await self._try(events, outcomes):
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _try(self, events: Sequence[AuditEvent], outcomes: Sequence[Outcome]) -> bool:
        try:
            self.newest = max(self.newest, await self._store.append(events, outcomes))
        except AuditError as error:
            self._hub.warn("audit", f"{error.message} Events wait until it can be written again.")
            return False
        self._hub.warn("audit", None)
        self._hub.changed("audit", urgent=False)
        return True
