"""One plugin's connection: what it says is checked here, and what it is told goes out in order.

A plugin may be taken over by what it runs. One that sends what is not a message, or more than it can have
to say, is cut off; it costs the supervisor one connection and no more.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol

from pydantic import ValidationError

from plugins.base.control import (
    FROM_PLUGIN,
    Answer,
    Applied,
    Ask,
    Forget,
    FromPlugin,
    FromSupervisor,
    Hello,
    Ready,
    Record,
    Settled,
    Stats,
    Stored,
    Tell,
    Told,
    Undone,
    Welcome,
)
from plugins.base.errors import ProtocolError
from plugins.base.serving.connection import Connection, Frame

_MESSAGES_PER_SECOND, _BURST = 500.0, 4000.0
_MOST_QUESTIONS = 1024
_MOST_UNSENT = 2048
_MOST_UNSTORED = 8  # batches; then nothing more is read until one is stored


class Handler(Protocol):
    """What becomes of what plugins say."""

    def admit(self, hello: Hello) -> bool:
        """Whether this plugin was started by us."""

    def linked(self, link: PluginLink) -> None: ...

    def unlinked(self, link: PluginLink, why: str) -> None:
        """The connection is gone. `why` is not empty when it was cut off."""

    async def heard(
        self, link: PluginLink, message: Ready | Applied | Stats | Undone | Tell | Told
    ) -> None: ...

    def asked(self, link: PluginLink, ask: Ask) -> AsyncIterator[Answer]: ...

    def forgotten(self, link: PluginLink, ask: Ask, settled: Settled) -> None: ...

    async def store(self, link: PluginLink, record: Record) -> None:
        """Return when the record lasts, however long that takes."""


class PluginLink:
    """A plugin that said hello with its token."""

    def __init__(self, connection: Connection, hello: Hello) -> None:
        self.plugin = hello.plugin
        self.hello = hello
        self._connection = connection
        self._outgoing: asyncio.Queue[FromSupervisor] = asyncio.Queue(_MOST_UNSENT)
        self._records: asyncio.Queue[Record] = asyncio.Queue(_MOST_UNSTORED)
        self._asks: dict[int, Ask] = {}
        self._budget = _Budget()

    def post(self, message: FromSupervisor) -> None:
        """Send a message after those before. A plugin that does not read is cut off."""
        try:
            self._outgoing.put_nowait(message)
        except asyncio.QueueFull:
            self.close()

    async def told(self, seconds: float) -> bool:
        """Wait until everything posted so far is on its way; False when the plugin does not take it."""
        try:
            async with asyncio.timeout(seconds):
                await self._outgoing.join()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._connection.close()

    async def run(self, handler: Handler) -> None:
        """Converse until the connection ends, whoever ends it."""
        why = ""
        self.post(Welcome())
        handler.linked(self)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write())
                group.create_task(self._store_all(handler))
                await self._read(handler, group)
        except* ProtocolError as errors:
            why = f"It was cut off: {errors.exceptions[0]}"
        except* ConnectionError:
            pass
        finally:
            self._connection.close()
            handler.unlinked(self, why)

    async def _read(self, handler: Handler, group: asyncio.TaskGroup) -> None:
        while (frame := await self._connection.receive()) is not None:
            self._budget.spend()
            match parse(frame):
                case Ask() as ask:
                    self._ask(handler, group, ask)
                case Forget(ask=number, settled=settled):
                    if number in self._asks:
                        handler.forgotten(self, self._asks[number], settled)
                case Record() as record:
                    await self._records.put(record)
                case Hello():
                    raise ProtocolError("It said hello twice.")
                case message:
                    await handler.heard(self, message)
        raise ConnectionResetError("the plugin closed the connection")  # ends the other tasks too

    def _ask(self, handler: Handler, group: asyncio.TaskGroup, ask: Ask) -> None:
        if ask.ask in self._asks or len(self._asks) >= _MOST_QUESTIONS:
            raise ProtocolError("It asked the same twice, or too much.")
        self._asks[ask.ask] = ask.model_copy(update={"plugin": self.plugin, "details": ""})
        group.create_task(self._answer(ask.ask, handler.asked(self, ask)))

    async def _answer(self, number: int, answers: AsyncIterator[Answer]) -> None:
        try:
            async for answer in answers:
                self.post(answer)
        finally:
            del self._asks[number]

    async def _store_all(self, handler: Handler) -> None:
        while True:
            record = await self._records.get()
            await handler.store(self, record)
            self.post(Stored(batch=record.batch))

    async def _write(self) -> None:
        while True:
            message = await self._outgoing.get()
            await self._connection.send(message.model_dump_json().encode())
            self._outgoing.task_done()


class _Budget:
    """How many messages a plugin may send: so many at once, and so many a second in the long run."""

    def __init__(self) -> None:
        self._left = _BURST
        self._at = time.monotonic()

    def spend(self) -> None:
        now = time.monotonic()
        self._left = min(_BURST, self._left + (now - self._at) * _MESSAGES_PER_SECOND) - 1
        self._at = now
        if self._left < 0:
            raise ProtocolError(f"it sent more than {_MESSAGES_PER_SECOND:.0f} messages a second.")


def parse(frame: Frame) -> FromPlugin:
    """Return the message in the frame. Raises `ProtocolError`."""
    for descriptor in frame.fds:
        with suppress(OSError):
            os.close(descriptor)
    try:
        return FROM_PLUGIN.validate_json(frame.data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise ProtocolError(f"it sent what is not a message ({problem}).") from None
