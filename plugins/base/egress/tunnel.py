"""Carries bytes both ways between a tool and a host, unread, until both have said all or fell silent.

A side that has said all can still be told: each direction ends by itself. A side that does not read stops the
other one from being read.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

IDLE: Final = 600.0  # seconds without a byte, either way
BUFFER: Final = 64 * 1024  # bytes that are read ahead for a side that does not take them; twice that at most
CHUNK: Final = 256 * 1024  # bytes that are handed on at once: as much as the event loop reads

_CLOSED: Final = "closed"
_AT_ONCE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a tunnel."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def abort(self) -> None:
        self.writer.transport.abort()

    def reset(self) -> None:
        """Close so that nobody takes what came for all there is: without an end of the stream."""
        with suppress(OSError):
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.abort()


class Tunnel:
    """Bytes on their way. `run` returns when it is over; `end` ends it."""

    def __init__(self, tool: Side, host: Side, *, idle: float = IDLE) -> None:
        self._tool = tool
        self._host = host
        self._idle = idle
        self._timeout: asyncio.Timeout | None = None
        self.sent = 0  # bytes to the host
        self.received = 0
        self.why = _CLOSED

    async def run(self, first: Awaitable[bytes]) -> None:
        """`first` is what the tool says first: somebody listens to it already."""
        try:
            async with asyncio.timeout(self._idle) as self._timeout:
                await self._both_ways(first)
        except TimeoutError:
            self.why = f"ended: nothing was said for {self._idle:g} s"
        finally:
            self._close()

    async def _both_ways(self, first: Awaitable[bytes]) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(first))
                tasks.create_task(self._receive())
        except* OSError:
            self.why = self.why if self.why != _CLOSED else "broken off"

    def end(self, why: str) -> None:
        self.why = f"ended: {why}"
        self._close()

    def _close(self) -> None:
        """What was not said to its end on both sides must not look as if it was."""
        for side in (self._tool, self._host):
            if self.why == _CLOSED:
                side.abort()
            else:
                side.reset()

    async def _send(self, first: Awaitable[bytes]) -> None:
        data = await first
        while data:
            self.sent += len(data)
            data = await self._pass(data, self._tool.reader, self._host.writer)
        await _finish(self._host.writer)

    async def _receive(self) -> None:
        data = await self._host.reader.read(CHUNK)
        while data:
            self.received += len(data)
            data = await self._pass(data, self._host.reader, self._tool.writer)
        await _finish(self._tool.writer)

    async def _pass(self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Hand on what was read, and read on when it is on its way."""
        self._stir()
        writer.write(data)
        await writer.drain()
        return await reader.read(CHUNK)

    def _stir(self) -> None:
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._idle)


async def _finish(writer: asyncio.StreamWriter) -> None:
    """Let it have what is still on its way, then say that this was all."""
    writer.transport.set_write_buffer_limits(0)
    await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()
