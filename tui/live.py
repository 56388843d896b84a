"""The real backend: a supervisor's API, and the files of its home.

Attaches to the supervisor that runs on the home, or starts one in this program. When the
supervisor goes away it says so and attaches again as soon as one is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from plugins.base.errors import ClaudeContainerError
from supervisor.home import Home
from tui.backend import Desk
from tui.home_files import HomeFiles

if TYPE_CHECKING:
    from supervisor.api.client import Client
    from supervisor.daemon import EmbeddedSupervisor
    from supervisor.policies.store import PolicyEdit
    from supervisor.runtimes.choice import Wanted

_RETRY = 2.0  # seconds between attempts to attach again


class LiveBackend(HomeFiles):
    """See `tui.backend.Backend`."""

    def __init__(self, home: Home, workspace: Path, runtime: Wanted = "process") -> None:
        self.embedded = False
        super().__init__(home)
        self._workspace = workspace
        self._runtime = runtime
        self._client: Client | None = None
        self._supervisor: EmbeddedSupervisor | None = None
        self._desk = Desk()

    def now(self) -> float:
        return time.time()

    # ------------------------------------------------------------ following

    async def follow(self, tell: Callable[[Desk], None]) -> None:
        def told(**changes: Any) -> None:
            self._desk = replace(self._desk, **changes)
            tell(self._desk)

        await asyncio.to_thread(_load)
        from tui.following import Following

        try:
            client = await self._attach_or_start(told)
        except OSError as error:
            raise ClaudeContainerError(f"Cannot reach the supervisor: {error}.") from error
        while True:
            self._client = client
            try:
                told(newest=await asyncio.to_thread(self.newest_row))
                await Following(client, told).run()
            finally:
                self._client = None
                await client.close()
            client = await self._attach_again(told)

    async def _attach_or_start(self, told: Callable[..., None]) -> Client:
        from supervisor.api.client import Client, NotRunning

        try:
            return await Client.connect(self._home, operator=True)
        except NotRunning:
            told(link="starting")
            await asyncio.to_thread(self._start)
            return await Client.connect(self._home, operator=True)

    def _start(self) -> None:
        from supervisor.daemon import EmbeddedSupervisor
        from supervisor.runtimes.choice import choose
        from supervisor.setup import prepare_home

        prepare_home(self._home)
        chosen = choose(self._home, self._runtime, wait=True)
        supervisor = EmbeddedSupervisor(self._home, self._workspace, chosen)
        supervisor.start()
        self._supervisor = supervisor
        self.embedded = True

    async def _attach_again(self, told: Callable[..., None]) -> Client:
        from supervisor.api.client import Client

        while True:
            try:
                return await Client.connect(self._home, operator=True)
            except (ClaudeContainerError, OSError):
                told(link="lost", problem=(
                    "The supervisor went away; plugins go on by their last good policy. "
                    "Start it again with: claude-container start"
                ))  # fmt: skip
            await asyncio.sleep(_RETRY)

    def close(self) -> None:
        """End what this backend started. Blocks until the plugins have ended."""
        self.close_log()
        if self._supervisor is not None:
            self._supervisor.stop()

    # ------------------------------------------------------------ asking the supervisor

    def _connected(self) -> Client:
        if self._client is None:
            raise ClaudeContainerError(
                "There is no connection to the supervisor.", hint="It is tried again every two seconds."
            )
        return self._client

    async def start_plugin(self, name: str) -> None:
        await self._connected().start_plugin(name)

    async def stop_plugin(self, name: str) -> None:
        await self._connected().stop_plugin(name)

    async def restart_plugin(self, name: str) -> None:
        await self._connected().restart_plugin(name)

    async def approve(
        self, request: str, mode: Literal["once", "time"], minutes: float | None = None
    ) -> None:
        await self._connected().approve(request, mode, minutes)

    async def always(self, request: str) -> PolicyEdit:
        whole = await self._connected().request(request)  # a list cuts what is long
        return await asyncio.to_thread(self._store().always, whole)

    async def approve_always(self, request: str, edit: PolicyEdit) -> None:
        await self._connected().approve_always(request, edit.new, edit.base)

    async def deny(self, request: str, reason: str) -> None:
        await self._connected().deny(request, reason)

    async def lockdown(self, on: bool, message: str) -> None:
        await self._connected().lockdown(on, message)

    async def save_policy(self, plugin: str, text: str, base: str) -> str:
        return await self._connected().save_policy(plugin, text, base)


def _load() -> None:
    """Import what is not needed for the first paint, and takes as long as that."""
    import tui.following  # noqa: F401
