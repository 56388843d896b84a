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
_CUT_OFF: Final = int(socket.MSG_CTRUNC)  # a plain number: flags of the enum are slow to test


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
        self._watched = False  # whether the loop tells that there is something to read
        self._reader: asyncio.Future[None] | None = None  # waits for that
        self._writer: asyncio.Future[None] | None = None

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
                    raise self._cut_off()
                return None
        length = int.from_bytes(self._buffer[:HEADER_SIZE], "big")
        if length > self._max_frame:
            raise ProtocolError(f"A message of {length} bytes is larger than {self._max_frame} bytes.")
        if admit is not None:
            await admit(length)
        whole = HEADER_SIZE + length
        while len(self._buffer) < whole:
            if not await self._fill(whole):
                raise self._cut_off()
        return self._cut(length)

    def _cut_off(self) -> ProtocolError:
        return ProtocolError("The connection was closed within a message.")

    def _cut(self, length: int) -> Frame:
        """Take the frame off the front of the buffer, which holds all of it."""
        whole = HEADER_SIZE + length
        data = bytes(memoryview(self._buffer)[HEADER_SIZE:whole])
        del self._buffer[:whole]
        fds, self._fds = tuple(self._fds), []
        return Frame(data, fds)

    def at_hand(self, most: int) -> Frame | None:
        """Return the first frame when all of it is here already and has at most so many bytes.

        Reads once, and perhaps further than that frame: only for who drops the descriptors of all others.
        Otherwise None, and `receive` gives it. Raises as `receive` does.
        """
        self._read(HEADER_SIZE + most)
        length = int.from_bytes(self._buffer[:HEADER_SIZE], "big")
        if not HEADER_SIZE <= HEADER_SIZE + length <= len(self._buffer) or length > most:
            return None
        return self._cut(length)

    def watch(self, heard: Callable[[], None]) -> None:
        """Call back whenever something may have come, until closed or `unwatch`: in place of `receive`."""
        self._check_open()
        asyncio.get_running_loop().add_reader(self._sock.fileno(), heard)
        self._watched = True
        if self._buffer:
            heard()

    def unwatch(self) -> None:
        if self._watched and not self._closed:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._watched = False

    def next_frame(self, most: int) -> Frame | None:
        """Return the next frame, or None when it is not here whole. Raises `EOFError`, and as `receive`."""
        while True:
            here, length = len(self._buffer), int.from_bytes(self._buffer[:HEADER_SIZE], "big")
            wanted = HEADER_SIZE + length if here >= HEADER_SIZE else HEADER_SIZE
            if wanted > HEADER_SIZE + most:
                raise ProtocolError(f"A message of {length} bytes is larger than {most} bytes.")
            if here >= wanted and here >= HEADER_SIZE:
                return self._cut(length)
            more = self._read(wanted - here)
            if more is None:
                return None
            if not more:
                raise self._cut_off() if self._buffer else EOFError

    async def _fill(self, wanted: int) -> bool:
        """Read what is there into the buffer; False at the end of the stream."""
        # Never beyond the frame: the descriptors of the next one must not come with this one's bytes.
        missing = min(wanted - len(self._buffer), _READ_SIZE)
        while (more := self._read(missing)) is None:
            await self._readable()
        return more

    def _read(self, most: int) -> bool | None:
        """Read once; False at the end of the stream, None when there is nothing now."""
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(most, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        if ancillary:
            self._take(ancillary)
        if flags & _CUT_OFF or len(self._fds) > MAX_DESCRIPTORS:
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
            self._check_open()
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
                await self._writable()
                continue
            data, rights = data[sent:], []

    async def _readable(self) -> None:
        """Wait until there is something to read. Raises `ConnectionResetError` once closed."""
        self._check_open()
        loop = asyncio.get_running_loop()
        self._reader = loop.create_future()
        if not self._watched:
            loop.add_reader(self._sock.fileno(), self._wake_reader)
            self._watched = True
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake_reader(self) -> None:
        if self._reader is None:  # nobody reads now, and who will gets it without being woken
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._watched = False
        else:
            _wake(self._reader)

    async def _writable(self) -> None:
        """The same for writing."""
        self._check_open()
        loop, descriptor = asyncio.get_running_loop(), self._sock.fileno()
        self._writer = loop.create_future()
        loop.add_writer(descriptor, _wake, self._writer)
        try:
            await self._writer
        finally:
            self._writer = None
            if not self._closed:
                loop.remove_writer(descriptor)

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionResetError("the connection is closed")

    def close(self) -> None:
        """Close the socket and every descriptor that nobody took. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        if self._watched or self._writer is not None:
            _forget(self._sock)
        for waiter in (self._reader, self._writer):
            if waiter is not None and not waiter.done():
                waiter.set_exception(ConnectionResetError("the connection is closed"))
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
