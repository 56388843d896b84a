"""What a tunnel carries, in both directions, and how little of it it keeps."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from plugins.base.egress.tunnel import BUFFER, CHUNK, Side, Tunnel

WITHIN = 20.0
LARGE = os.urandom(1 << 20) * 64

Serve = Callable[[Side], Awaitable[None]]


@dataclass
class Ends:
    """A tunnel that runs, and who is at its ends: real sockets."""

    tunnel: Tunnel
    inner: tuple[Side, Side]  # the tunnel's own ends: towards the tool, towards the host
    tool: Side
    host: Side
    running: asyncio.Task[None]

    def kept(self) -> int:
        """Bytes that the tunnel holds."""
        sides = self.inner
        unread: int = sum(len(side.reader._buffer) for side in sides)  # type: ignore[attr-defined, misc]
        return unread + sum(side.writer.transport.get_write_buffer_size() for side in sides)


@asynccontextmanager
async def _pair(room: int) -> AsyncIterator[tuple[Side, Side]]:
    """Both ends of one connection, the first with the tunnel's limits; about `room` bytes are under way."""
    accepted: asyncio.Queue[Side] = asyncio.Queue()
    with socket.socket() as listener:
        if room:  # before there is a connection: accepted sockets have it from here
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        listener.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(lambda *both: accepted.put_nowait(Side(*both)), sock=listener)
        async with server:
            ours = Side(*await asyncio.open_connection(*listener.getsockname(), limit=BUFFER))
            theirs = await accepted.get()
            if room:
                ours.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
            try:
                yield ours, theirs
            finally:
                ours.abort()
                theirs.abort()


@asynccontextmanager
async def tunnel(room: int = 0) -> AsyncIterator[Ends]:
    async with asyncio.timeout(WITHIN), _pair(room) as (to_tool, tool), _pair(room) as (to_host, host):
        carried = Tunnel(to_tool, to_host)
        running = asyncio.create_task(carried.run(asyncio.ensure_future(to_tool.reader.read(CHUNK))))
        yield Ends(carried, (to_tool, to_host), tool, host, running)
        if not running.done():
            carried.end("over")
            await running


async def _say(side: Side, data: bytes) -> None:
    side.writer.write(data)
    await side.writer.drain()
    side.writer.write_eof()


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_who_does_not_read_stops_the_other_and_loses_nothing(direction: str) -> None:
    """The tunnel leaves off reading, with little in its memory; once there is a reader, all of it comes."""
    async with tunnel() as ends:
        speaker, listener = (ends.tool, ends.host) if direction == "up" else (ends.host, ends.tool)
        listener.writer.transport.pause_reading()  # type: ignore[attr-defined]
        speaking = asyncio.create_task(_say(speaker, LARGE))
        for _ in range(3000):  # turns of the loop: many times as many as all of it would need
            await asyncio.sleep(0)
            assert ends.kept() <= 2 * BUFFER + 3 * CHUNK
        assert not speaking.done()
        listener.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await listener.reader.read(-1) == LARGE
        await speaking
    counted = (ends.tunnel.sent, ends.tunnel.received)
    assert counted == ((len(LARGE), 0) if direction == "up" else (0, len(LARGE)))


@pytest.mark.parametrize("first", ["tool", "host"])
async def test_whoever_ends_first_can_still_be_told(first: str) -> None:
    async with tunnel() as ends:
        early, late = (ends.tool, ends.host) if first == "tool" else (ends.host, ends.tool)
        await _say(early, b"that was all")
        assert await late.reader.read(-1) == b"that was all"
        speaking = asyncio.create_task(_say(late, LARGE))
        assert await early.reader.read(-1) == LARGE
        await speaking
        await ends.running
    assert ends.tunnel.why == "closed"


@pytest.mark.parametrize("first", ["tool", "host"])
async def test_the_last_bytes_reach_who_reads_late(first: str) -> None:
    """Both have said all, and what is on its way still fits nowhere."""
    async with tunnel(room=4096) as ends:
        early, late = (ends.tool, ends.host) if first == "tool" else (ends.host, ends.tool)
        early.writer.transport.pause_reading()  # type: ignore[attr-defined]
        early.writer.write_eof()
        await _say(late, last := LARGE[: BUFFER - 1])
        while ends.tunnel.sent + ends.tunnel.received < len(last):  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert ends.kept() > 0
        early.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await early.reader.read(-1) == last
        await ends.running
    assert ends.tunnel.why == "closed"


@pytest.mark.parametrize("gone", ["tool", "host"])
async def test_one_that_breaks_off_takes_the_other_along(gone: str) -> None:
    async with tunnel() as ends:
        broken, other = (ends.tool, ends.host) if gone == "tool" else (ends.host, ends.tool)
        await _say_piece(broken, b"half of")
        assert await other.reader.readexactly(7) == b"half of"
        broken.reset()
        with pytest.raises(ConnectionError):
            await other.reader.read(CHUNK)
        await ends.running
    assert ends.tunnel.why == "broken off"


async def _say_piece(side: Side, data: bytes) -> None:
    side.writer.write(data)
    await side.writer.drain()


async def test_what_is_ended_does_not_look_complete() -> None:
    async with tunnel() as ends:
        await _say_piece(ends.host, b"half of")
        assert await ends.tool.reader.readexactly(7) == b"half of"
        ends.tunnel.end("not allowed any more")
        with pytest.raises(ConnectionError):
            await ends.tool.reader.read(CHUNK)
        await ends.running
    assert ends.tunnel.why == "ended: not allowed any more"
