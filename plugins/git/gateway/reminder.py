"""Says now and then that a push still waits: for people, and so that nothing on the way gives the line up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

EVERY: Final = 15.0  # seconds


@asynccontextmanager
async def reminding(
    say: Callable[[str], Awaitable[None]], seconds: float, every: float = EVERY
) -> AsyncIterator[None]:
    """Remind while the block runs; `seconds` is how long it may take."""
    task = asyncio.create_task(_remind(say, seconds, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _remind(say: Callable[[str], Awaitable[None]], seconds: float, every: float) -> None:
    left = seconds
    while True:
        await asyncio.sleep(every)
        left = max(0.0, left - every)
        with suppress(ConnectionError):  # whoever waits will notice by itself
            await say(f"still waiting for the operator (up to {left:g} s more)\n")
