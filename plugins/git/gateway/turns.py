"""How many pushes there may be at once: a few are taken in, more wait in line, the rest is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from plugins.base.errors import Denied

MOST_OPEN: Final = 64  # pushes, those that wait for the operator included
MOST_TAKEN_IN: Final = 8  # pushes whose packs are received and read at the same time


class Busy(Denied):
    """There are too many pushes already."""


class Turns:
    """The pushes of one gateway."""

    def __init__(self, most_open: int = MOST_OPEN, most_taken_in: int = MOST_TAKEN_IN) -> None:
        self._most_open = most_open
        self._open = 0
        self._taking_in = asyncio.Semaphore(most_taken_in)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """One push, from its commands to its answer. Raises `Busy`."""
        if self._open >= self._most_open:
            raise Busy(
                f"{self._open} pushes are under way or wait for the operator; the gateway takes no more.",
                hint="Try again in a moment.",
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    @asynccontextmanager
    async def taking_in(self) -> AsyncIterator[None]:
        """While a pack is received and read; others wait for their turn."""
        async with self._taking_in:
            yield
