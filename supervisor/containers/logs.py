"""Copies what containers write into the home's log files, where everything that shows logs looks for them.

Each copy notes how far it came, so that the next supervisor goes on there: no line twice, none lost.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from supervisor.containers.stream import Stream
from supervisor.runtimes.logs import MOST_BYTES, open_log

_DIGITS: Final = 20
_LARGEST_PIECE: Final = 64 * 1024
_STAMP: Final = re.compile(r"(?P<seconds>[\dT:-]{19})(\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)")


class LogCopy:
    """Follows one container's output in a thread, until that ends or `close` is called."""

    def __init__(self, log: Path, position: Path) -> None:
        self._log = log
        self._position = position
        self._stream: Stream | None = None
        self._closed = False
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def start(self, follow: Callable[[int], Stream]) -> None:
        """`follow` opens the stream, from a second on; it blocks."""
        threading.Thread(target=self._run, args=(follow,), name="container-log", daemon=True).start()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    async def wait(self, seconds: float) -> None:
        """Wait, not for longer than that, until everything is copied."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    def close(self) -> None:
        self._closed = True
        if self._stream is not None:
            with suppress(Exception):  # whatever is left of it
                self._stream.close()

    # ------------------------------------------------------------ in the thread

    def _run(self, follow: Callable[[int], Stream]) -> None:
        try:
            with suppress(Exception):  # the engine went away: the runtime starts another copy when it is back
                self._copy(follow)
        finally:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._ended.set)

    def _copy(self, follow: Callable[[int], Stream]) -> None:
        position = os.open(self._position, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        log = open_log(self._log)
        try:
            seen = _read(position)
            with follow(seen.at // 10**9) as self._stream:
                for here, text in placed(() if self._closed else self._stream):
                    if self._closed:
                        break
                    if here <= seen:
                        continue
                    os.write(log, text)
                    os.pwrite(position, here.packed(), 0)
                    if os.fstat(log).st_size > MOST_BYTES:
                        os.close(log)
                        log = open_log(self._log)
        finally:
            os.close(position)
            os.close(log)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a log was read: when the last piece was written, and how many have come with that time.

    Podman tells whole seconds, so the time alone does not tell pieces apart. A log is read from the beginning
    of a second on: the count is the same each time.
    """

    at: int = 0  # nanoseconds since the epoch
    count: int = 0

    def after(self, at: int) -> Position:
        """The position of the next piece, which was written then."""
        return Position(at, self.count + 1 if at == self.at else 1)

    def packed(self) -> bytes:
        return b"%0*d %0*d" % (_DIGITS, self.at, _DIGITS, self.count)


def _read(descriptor: int) -> Position:
    parts = os.pread(descriptor, 2 * _DIGITS + 1, 0).split(b" ")
    return Position(*map(int, parts)) if len(parts) == 2 and all(map(bytes.isdigit, parts)) else Position()


def placed(untrusted_pieces: Iterable[bytes]) -> Iterator[tuple[Position, bytes]]:
    """Each piece's position and text."""
    here = Position()
    for piece in untrusted_pieces:
        at, text = split(piece)
        here = here.after(at)
        yield here, text


def split(untrusted_piece: bytes) -> tuple[int, bytes]:
    """When a piece was written, in nanoseconds since the epoch, and its text."""
    stamp, _, text = untrusted_piece.partition(b" ")
    found = _STAMP.fullmatch(stamp.decode("ascii", "replace"))
    if found is None:
        raise ValueError("a piece of a log without its time")
    seconds = int(datetime.fromisoformat(found["seconds"] + found["zone"]).timestamp())
    return seconds * 10**9 + int((found["fraction"] or "").ljust(9, "0")[:9]), text[:_LARGEST_PIECE]
