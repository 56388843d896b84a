"""Copies what containers write into the home's log files, where everything that shows logs looks for them.

Each copy notes how far it came, so that the next supervisor goes on there: no line twice, none lost.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from supervisor.runtimes.logs import MOST_BYTES, open_log

_DIGITS: Final = 20
_LARGEST_PIECE: Final = 64 * 1024
_STAMP: Final = re.compile(r"(?P<seconds>[\dT:-]{19})(\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)")


class LogCopy:
    """Follows one container's output in a thread, until that ends or `close` is called."""

    def __init__(self, log: Path, position: Path) -> None:
        self._log = log
        self._position = position
        self._stream: Any = None
        self._closed = False
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def start(self, follow: Callable[[int], Any]) -> None:
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

    def _run(self, follow: Callable[[int], Any]) -> None:
        try:
            with suppress(Exception):  # the engine went away: the runtime starts another copy when it is back
                self._copy(follow)
        finally:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._ended.set)

    def _copy(self, follow: Callable[[int], Any]) -> None:
        position = os.open(self._position, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        log = open_log(self._log)
        try:
            seen = _read(position)
            self._stream = follow(seen // 10**9)
            for piece in self._stream:
                at, text = split(piece)
                if self._closed or not is_new(at, seen):
                    continue
                os.write(log, text)
                os.pwrite(position, b"%0*d" % (_DIGITS, at), 0)
                if os.fstat(log).st_size > MOST_BYTES:
                    os.close(log)
                    log = open_log(self._log)
        finally:
            os.close(position)
            os.close(log)


def _read(descriptor: int) -> int:
    text = os.pread(descriptor, _DIGITS, 0)
    return int(text) if text.isdigit() else 0


def split(untrusted_piece: bytes) -> tuple[int, bytes]:
    """When a piece was written, in nanoseconds since the epoch, and its text."""
    stamp, _, text = untrusted_piece.partition(b" ")
    found = _STAMP.fullmatch(stamp.decode("ascii", "replace"))
    if found is None:
        raise ValueError("a piece of a log without its time")
    seconds = int(datetime.fromisoformat(found["seconds"] + found["zone"]).timestamp())
    return seconds * 10**9 + int((found["fraction"] or "").ljust(9, "0")[:9]), text[:_LARGEST_PIECE]


def is_new(at: int, seen: int) -> bool:
    """Whether a piece was not copied yet. Podman tells whole seconds: better a line twice than one lost."""
    return at > seen or (at == seen and at % 10**9 == 0)
