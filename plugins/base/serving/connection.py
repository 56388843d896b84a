"""Frames with file descriptors over a Unix stream socket, for asyncio.

One reader and any number of senders. Descriptors belong to the frame whose first byte they came
with. Memory is bounded by the largest frame; descriptors that nobody takes are closed.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from plugins.base.errors import ProtocolError
from plugins.base.serving.protocol import HEADER_SIZE, MAX_FRAME, header

MAX_DESCRIPTORS: Final = 3
_READ_SIZE: Final = 65536
_ANCILLARY = socket.CMSG_SPACE(8 * array.array("i").itemsize)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it came: JSON bytes, and the descriptors, which the receiver now owns."""

    data: bytes
    fds: tuple[int, ...]


class Connection:
    """One end of a conversation. Not for use from several threads."""

    def __init__(self, sock: socket.socket, *, max_frame: int = MAX_FRAME) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._max_frame = max_frame
        self._buffer = bytearray()
        self._fds: list[int] = []
        self._sending = asyncio.Lock()
        self._closed = False
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def socket(self) -> socket.socket:
        return self._sock

    async def receive(self, admit: Callable[[int], Awaitable[object]] | None = None) -> Frame | None:
        """Return the next frame, or None when the peer closed between two frames.

        `admit` hears the length before memory is given to it, and may wait or raise.
        Raises `ProtocolError` for a frame that is too large or cut off, and `ConnectionError`.
        """
        while len(self._buffer) < HEADER_SIZE:
            if not await self._fill(HEADER_SIZE):
                if self._buffer:
                    raise ProtocolError("The connection was closed within a message.")
                return None
        length = int.from_bytes(self._buffer[:HEADER_SIZE], "big")
        if length > self._max_frame:
            raise ProtocolError(f"A message of {length} bytes is larger than {self._max_frame} bytes.")
        if admit is not None:
            await admit(length)
        whole = HEADER_SIZE + length
        while len(self._buffer) < whole:
            if not await self._fill(whole):
                raise ProtocolError("The connection was closed within a message.")
        data = bytes(memoryview(self._buffer)[HEADER_SIZE:whole])
        del self._buffer[:whole]
        fds, self._fds = tuple(self._fds), []
        return Frame(data, fds)

    async def _fill(self, wanted: int) -> bool:
        """Read what is there into the buffer; False at the end of the stream."""
        # Never beyond the frame: the descriptors of the next one must not come with this one's bytes.
        missing = wanted - len(self._buffer)
        while True:
            try:
                data, ancillary, flags, _ = self._sock.recvmsg(
                    min(missing, _READ_SIZE), _ANCILLARY, socket.MSG_CMSG_CLOEXEC
                )
                break
            except BlockingIOError:
                await self._ready(writing=False)
        self._take(ancillary)
        if flags & socket.MSG_CTRUNC or len(self._fds) > MAX_DESCRIPTORS:
            raise ProtocolError(f"A message came with more than {MAX_DESCRIPTORS} descriptors.")
        self._buffer += data
        return bool(data)

    def _take(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                self._fds.extend(fds)

    async def send(self, payload: bytes, fds: Sequence[int] = ()) -> None:
        """Send one frame whole, after those sent before. Raises `ConnectionError` when the peer is gone."""
        data = memoryview(header(len(payload)) + payload)
        async with self._sending:
            if self._closed:
                raise ConnectionResetError("the connection is closed")
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                await self._send_all(data, rights)
            except asyncio.CancelledError:
                self.close()  # half a frame may be out: nothing sent after it would make sense
                raise

    async def _send_all(self, data: memoryview, rights: list[tuple[int, int, array.array[int]]]) -> None:
        while data:
            try:
                sent = self._sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                await self._ready(writing=True)
                continue
            data, rights = data[sent:], []

    async def _ready(self, *, writing: bool) -> None:
        """Wait until the socket can be read (or written). Raises `ConnectionResetError` once closed."""
        if self._closed:
            raise ConnectionResetError("the connection is closed")
        loop, descriptor = asyncio.get_running_loop(), self._sock.fileno()
        add, remove = (
            (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        )
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.add(waiter)
        add(descriptor, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if not self._closed:
                remove(descriptor)

    def close(self) -> None:
        """Close the socket and every descriptor that nobody took. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ConnectionResetError("the connection is closed"))
        _forget(self._sock)
        self._sock.close()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _forget(sock: socket.socket) -> None:
    """Take the socket out of the loop before its number is used again."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.remove_reader(sock.fileno())
    loop.remove_writer(sock.fileno())
