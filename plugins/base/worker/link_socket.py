"""The server's end of the link to its worker: sends without waiting, in order; calls back for each answer.

Unlike `plugins.base.serving.connection`, `send` is no coroutine: a signal can be sent from anywhere, and a
caller that is cancelled leaves no half frame. What the socket does not take at once is kept, with copies of
its descriptors.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from plugins.base.as_json import from_json, to_json
from plugins.base.worker.wire import HEADER_SIZE, frame

_READ_SIZE: Final = 65536


class WorkerSocket:
    """`receive` gets every message, `ended` is called once, when the worker closed its end."""

    def __init__(
        self, sock: socket.socket, receive: Callable[[dict[str, Any]], None], ended: Callable[[], None]
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._receive = receive
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._outbox: deque[tuple[memoryview, list[int]]] = deque()
        self._loop.add_reader(sock, self._read)

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = (), text: bytes = b"") -> None:
        """Send the message now or as soon as there is room. Raises `OSError` when that is no use."""
        if self._sock.fileno() < 0:
            raise ConnectionResetError("the link to the worker is closed")
        data = memoryview(frame(to_json(message), text))
        if not self._outbox:
            sent = self._send_some(data, fds)
            if sent == len(data):
                return
            data, fds = data[sent:], () if sent else fds
            self._loop.add_writer(self._sock, self._write)
        self._outbox.append((data, _copies(fds)))

    def _send_some(self, data: memoryview, fds: Sequence[int]) -> int:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            return self._sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0

    def _write(self) -> None:
        data, fds = self._outbox[0]
        try:
            sent = self._send_some(data, fds)
        except OSError:
            self._loop.remove_writer(self._sock)  # the reader learns of the end
            return
        if sent:
            self._outbox[0] = (data[sent:], [])
            _close_all(fds)
        if sent == len(data):
            self._outbox.popleft()
            if not self._outbox:
                self._loop.remove_writer(self._sock)

    def drain(self) -> None:
        """Take in all that is there."""
        while self._sock.fileno() >= 0 and self._read():
            pass

    def _read(self) -> bool:
        """Take in some of what is there; False when there is nothing more."""
        try:
            data = self._sock.recv(_READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            self._ended()
            return False
        self._buffer += data
        self._split()
        return True

    def _split(self) -> None:
        while len(self._buffer) >= HEADER_SIZE:
            whole = HEADER_SIZE + int.from_bytes(self._buffer[:HEADER_SIZE], "big")
            if len(self._buffer) < whole:
                return
            message = from_json(bytes(self._buffer[HEADER_SIZE:whole]))
            del self._buffer[:whole]
            self._receive(message)

    def close(self) -> None:
        """Close the link; the worker then ends. A second call does nothing."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        for _, fds in self._outbox:
            _close_all(fds)
        self._outbox.clear()


def _copies(fds: Sequence[int]) -> list[int]:
    """Descriptors of our own: the caller may close his before they are sent."""
    copies: list[int] = []
    try:
        copies.extend(os.dup(fd) for fd in fds)
    except OSError:
        _close_all(copies)
        raise
    return copies


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        with suppress(OSError):
            os.close(fd)
