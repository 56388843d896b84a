"""Tells one API client what changed, no faster than it reads and no more often than anybody looks.

For each topic at most one notification waits, whatever happens meanwhile: what is sent is the state
when it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn

from plugins.base.errors import ClaudeContainerError
from plugins.base.serving.protocol import encode
from supervisor.hub import TOPICS, Topic

URGENT, RELAXED = 0.1, 0.5  # least seconds between two notifications of a topic


class Notifier:
    """Call it as a `supervisor.hub.Listener`. `snapshot` returns a topic's data now."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]], snapshot: Callable[[Topic], Any]) -> None:
        self._send = send
        self._snapshot = snapshot
        self._due: dict[Topic, float] = {}
        self._sent: dict[Topic, float] = {}
        self._wake = asyncio.Event()
        self._now = asyncio.get_running_loop().time

    def __call__(self, topic: Topic, urgent: bool) -> None:
        due = self._sent.get(topic, -RELAXED) + (URGENT if urgent else RELAXED)
        if due < self._due.get(topic, float("inf")):
            self._due[topic] = due
            self._wake.set()

    def everything(self) -> None:
        """Tell each topic once, for a client that knows nothing yet."""
        for topic in TOPICS:
            self(topic, True)

    async def run(self) -> NoReturn:
        while True:
            await self._until_due()
            for topic in [topic for topic, due in self._due.items() if due <= self._now()]:
                del self._due[topic]
                self._sent[topic] = self._now()
                with suppress(ClaudeContainerError):  # too large to be sent: the next one may be smaller
                    await self._send(encode({"topic": topic, "data": self._snapshot(topic)}))

    async def _until_due(self) -> None:
        while not (self._due and min(self._due.values()) <= self._now()):
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._due.values(), default=None)):
                    await self._wake.wait()
