"""One plugin's container as the supervisor sees it: what was started, what is told to it, how it ended."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final, Protocol

from plugins.base.control import StartConfig
from supervisor.containers.calls import Found
from supervisor.containers.events import Ended
from supervisor.containers.logs import LogCopy
from supervisor.runtimes.metrics import Usage
from supervisor.runtimes.runtime import Exit

_MOST_SIGNALS: Final = 64


class Keeper(Protocol):
    """What a container leaves to the runtime that keeps it."""

    def signal(self, instance: ContainerInstance) -> None:
        """Send it the signal that it is to get."""

    async def sample(self, instance: ContainerInstance, before: Usage | None) -> Usage | None: ...


class ContainerInstance:
    """A plugin's container. Belongs to the event loop it was made in."""

    def __init__(self, config: StartConfig, identity: str, runtime: Keeper) -> None:
        self.config = config
        self.identity = identity
        self.pid = 0
        self.started = time.time()
        self.signal = ""  # the last one that it was to get
        self.log: LogCopy | None = None
        self.starting = asyncio.Lock()  # its end is looked at when its start is done, log and all
        self._runtime = runtime
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def sample(self, before: Usage | None) -> Usage | None:
        return await self._runtime.sample(self, before)

    def terminate(self) -> None:
        self._send("SIGTERM")

    def kill(self) -> None:
        self._send("SIGKILL")

    def _send(self, name: str) -> None:
        self.signal = name
        if not self._exit.done():
            self._runtime.signal(self)

    def runs(self, found: Found) -> None:
        """Take over what the engine says of it."""
        self.pid, self.started = found.pid, found.started or self.started

    def ended(self, found: Exit) -> None:
        if not self._exit.done():
            self._exit.set_result(found)

    async def finish_log(self, seconds: float) -> None:
        """Take over the last of its log, for so long at most."""
        async with self.starting:
            log = self.log
        if log is not None:
            await log.wait(seconds)
            log.close()


def exit_of(event: Ended, found: Found | None) -> Exit:
    """How a container ended, by the engine's event and by what it says of the container afterwards."""
    code = found.exit_code if found is not None and found.exit_code is not None else event.exit_code
    if code is None:
        return Exit()
    if found is not None and found.out_of_memory and code == 128 + signal.SIGKILL:
        return Exit(signal=signal.SIGKILL, out_of_memory=True)
    if 128 < code <= 128 + _MOST_SIGNALS:
        return Exit(signal=code - 128)
    return Exit(code=code)
