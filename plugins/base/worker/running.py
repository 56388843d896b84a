"""A command in the worker, as the server holds it: signal it, end it, wait for its end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from plugins.base.errors import Denied, WorkerError


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended. `exit_code` is 128 + n when signal n ended it."""

    exit_code: int
    signal: int | None
    duration_ms: float


class WorkerLost(WorkerError):
    """The worker ended while the command was running."""


class Post(Protocol):
    """Tells the worker something; one that is gone needs no telling."""

    def __call__(self, message: Mapping[str, Any]) -> None: ...


class Running:
    """A command that the worker was told to start, and its process group."""

    def __init__(self, identifier: int, post: Post) -> None:
        self.id = identifier
        self.pid = 0  # until it started
        self.started_at = 0.0  # on time.monotonic
        self.refusal: Denied | None = None  # why it could not be started
        self.ended = False
        self._exit: Exit | None = None  # None although it ended: the worker was lost
        self._post = post
        self._waiters: list[asyncio.Future[None]] = []  # one for each, so that who gives up leaves the others

    # ------------------------------------------------------------ for who wanted it

    def signal(self, signum: int) -> None:
        """Send the signal to the whole process group; nothing happens when the command has ended."""
        if not 0 < signum < signal.NSIG:
            raise ValueError(f"{signum} is not a signal")
        self._post({"signal": signum, "to": self.id})

    def kill(self) -> None:
        """End the process group: SIGTERM, and SIGKILL to what is left after 2 s."""
        self._post({"kill": self.id})

    async def wait(self) -> Exit:
        """Wait for the end. Raises `WorkerLost`, and `Denied` when it could not be started."""
        await self.over()
        if self.refusal is not None:
            raise self.refusal
        if self._exit is None:
            raise WorkerLost("The worker ended while the command was running.", hint="Try the command again.")
        return self._exit

    async def over(self) -> None:
        """Wait until there is nothing more to wait for."""
        if not self.ended:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    # ------------------------------------------------------------ for who hears of it

    def has_started(self, pid: int, at: float) -> None:
        self.pid, self.started_at = pid, at

    def has_ended(self, how: Exit | None, refusal: Denied | None = None) -> None:
        """It ended; without an `Exit` because the worker was lost, or because it was never started."""
        self._exit, self.refusal, self.ended = how, refusal, True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
