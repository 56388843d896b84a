"""A command's time limit, which stands still while people answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Deadline:
    """Calls `passed` once, after `seconds` of the command's own time."""

    def __init__(self, seconds: float, passed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = seconds
        self._passed = passed
        self._pauses = 0
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._go()

    def _go(self) -> None:
        self._since = self._loop.time()
        self._timer = self._loop.call_later(self._left, self._passed)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For the time in which the operator is asked, or a program runs on the caller's side."""
        self._pauses += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left = max(0.0, self._left - (self._loop.time() - self._since))
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses and not self._ended:
                self._go()

    def end(self) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
