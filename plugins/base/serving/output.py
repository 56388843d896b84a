"""Where a command's output goes when the server itself has to touch it.

`Capture` collects a bounded amount from a pipe, for callers without descriptors. `say` writes to a caller's
own stderr, which may be a full pipe or a stopped terminal: that never blocks the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import threading
from contextlib import suppress
from typing import Final

from plugins.base.serving.protocol import MAX_FRAME

_READ: Final = 65536
_CHUNK: Final = 4096  # PIPE_BUF: a pipe that polls writable takes this much at once
_PATIENCE: Final = 2.0  # seconds that a caller's stderr may stay unwritable
_MOST_WRITERS: Final = 16
_LONGEST_STDERR: Final = 2 * 1024 * 1024  # bytes of a response's stderr, as JSON

_writers = threading.BoundedSemaphore(_MOST_WRITERS)


class Capture:
    """The reading end of a pipe. What is beyond the limit is read and dropped, so that nothing blocks."""

    def __init__(self, most_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reader, False)
        self._most = most_bytes
        self._data = bytearray()
        self.truncated = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._reader, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._reader, _READ)
        except BlockingIOError:
            return
        room = self._most - len(self._data)
        self._data += data[:room]
        self.truncated = self.truncated or len(data) > room
        if not data:
            self._end()

    def _end(self) -> None:
        if not self._ended.done():
            self._loop.remove_reader(self._reader)
            os.close(self._reader)
            self._ended.set_result(None)

    def close_writer(self) -> None:
        """Close our copy of the writing end, once the command has its own."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    async def text(self, patience: float) -> str:
        """Wait for the end of the output, or for `patience` seconds, and return it as surrogateescape."""
        self.close_writer()
        await asyncio.wait([self._ended], timeout=patience)
        return bytes(self._data).decode("utf-8", "surrogateescape")

    def close(self) -> None:
        self.close_writer()
        self._end()


def fit(stdout: str, stderr: str) -> tuple[str, str, bool]:
    """Cut both so that they fit into one response frame; True when something was cut."""
    shorter_stderr = _cut(stderr, _LONGEST_STDERR)
    shorter_stdout = _cut(stdout, MAX_FRAME - 65536 - len(json.dumps(shorter_stderr)))
    cut = len(shorter_stdout) < len(stdout) or len(shorter_stderr) < len(stderr)
    return shorter_stdout, shorter_stderr, cut


def _cut(text: str, most: int) -> str:
    """The longest beginning, roughly, that needs at most so many bytes as JSON."""
    if 6 * len(text) + 2 <= most:
        return text
    while (needed := len(json.dumps(text))) > most:
        text = text[: len(text) * most // needed]
    return text


async def say(fd: int, text: str) -> bool:
    """Write to a caller's descriptor; False when it could not be written, so that it must go another way.

    A thread of its own does it: at most a few can be stuck at a time, and nothing else waits for them.
    """
    if not _writers.acquire(blocking=False):
        return False
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()
    arguments = (os.dup(fd), text.encode("utf-8", "surrogateescape"), loop, done)
    threading.Thread(target=_write, args=arguments, daemon=True).start()
    await asyncio.wait([done], timeout=2 * _PATIENCE)
    return done.done() and done.result()


def _write(fd: int, data: bytes, loop: asyncio.AbstractEventLoop, done: asyncio.Future[bool]) -> None:
    try:
        written = _write_patiently(fd, data)
    except OSError:
        written = False
    finally:
        os.close(fd)
        _writers.release()
    with suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(_settle, done, written)


def _write_patiently(fd: int, data: bytes) -> bool:
    """Write everything, in pieces that a writable pipe takes; False when nothing could be written."""
    ready = select.poll()
    ready.register(fd, select.POLLOUT)
    started = False
    while data:
        events = ready.poll(_PATIENCE * 1000)
        if not events or events[0][1] & (select.POLLERR | select.POLLNVAL):
            return started
        data = data[os.write(fd, data[:_CHUNK]) :]
        started = True
    return True


def _settle(done: asyncio.Future[bool], written: bool) -> None:
    if not done.done():
        done.set_result(written)
