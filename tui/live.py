"""The real backend: a supervisor's API, and the files of its home.

Attaches to the supervisor that runs on the home, or starts one in this program. When the
supervisor goes away it says so and attaches again as soon as one is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from plugins.base.errors import ClaudeContainerError
from supervisor.client import Client, NotRunning
from supervisor.home import Home
from supervisor.status import Request, Status
from tui.backend import Desk
from tui.home_files import HomeFiles

if TYPE_CHECKING:
    from supervisor.daemon import EmbeddedSupervisor
    from supervisor.policies import PolicyEdit

_RETRY = 2.0  # seconds between attempts to attach again
_BATCH = 0.1  # seconds in which notifications are taken together
_MOST_DETAILS = 20  # requests whose details are fetched at once


class LiveBackend(HomeFiles):
    """See `tui.backend.Backend`."""

    def __init__(self, home: Home, workspace: Path) -> None:
        self.embedded = False
        super().__init__(home)
        self._workspace = workspace
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

        try:
            client = await self._attach_or_start(told)
        except OSError as error:
            raise ClaudeContainerError(f"Cannot reach the supervisor: {error}.") from error
        while True:
            self._client = client
            try:
                told(newest=await asyncio.to_thread(self.newest_row))
                await _Following(client, told).run()
            finally:
                self._client = None
                await client.close()
            client = await self._attach_again(told)

    async def _attach_or_start(self, told: Callable[..., None]) -> Client:
        try:
            return await Client.connect(self._home, operator=True)
        except NotRunning:
            told(link="starting")
            await asyncio.to_thread(self._start)
            return await Client.connect(self._home, operator=True)

    def _start(self) -> None:
        # Imported here: what is not needed for the first paint comes after it.
        from supervisor.daemon import EmbeddedSupervisor
        from supervisor.setup import prepare_home

        prepare_home(self._home)
        supervisor = EmbeddedSupervisor(self._home, self._workspace)
        supervisor.start()
        self._supervisor = supervisor
        self.embedded = True

    async def _attach_again(self, told: Callable[..., None]) -> Client:
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


class _Following:
    """One connection's life: notifications in, states out, several notifications taken together."""

    def __init__(self, client: Client, told: Callable[..., None]) -> None:
        self._client = client
        self._told = told
        self._changes: dict[str, Any] = {}
        self._ask_requests = True
        self._policy_changes = 0
        self._details: dict[str, str] = {}  # of open requests; they never change
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Return when the connection has ended."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            try:
                self._changes = {"link": "connected", "problem": "", "status": await self._client.status()}
                await self._tell_until_done(listening)
            except (ClaudeContainerError, OSError):
                pass  # the connection is gone, which is what ends the run; the caller tells
            finally:
                listening.cancel()

    async def _tell_until_done(self, listening: asyncio.Task[None]) -> None:
        while not listening.done():
            if self._ask_requests:
                self._ask_requests = False
                await self._take_requests()
            changes, self._changes = self._changes, {}
            self._told(**changes)
            await self._wake.wait()
            await asyncio.sleep(_BATCH)
            self._wake.clear()

    async def _take_requests(self) -> None:
        try:
            self._changes["requests"] = await self._requests()
        except NotRunning:
            raise
        except ClaudeContainerError as error:  # such as a full disk: the rest is worth telling all the same
            self._ask_requests = True  # with the next notification
            self._changes["problem"] = error.message
        else:
            self._changes["problem"] = ""

    async def _requests(self) -> tuple[Request, ...]:
        """All requests; the open ones with their details, which a list does not bring along."""
        listed = await self._client.requests()
        kept = {request.id for request in listed if request.state == "open"}
        self._details = {id_: text for id_, text in self._details.items() if id_ in kept}
        for id_ in list(kept - self._details.keys())[:_MOST_DETAILS]:
            self._details[id_] = (await self._client.request(id_)).details
        return tuple(
            request.model_copy(update={"details": self._details.get(request.id, "")}) for request in listed
        )

    async def _listen(self) -> None:
        try:
            async with aclosing(self._client.notifications()) as notifications:
                async for notification in notifications:
                    self._take(notification.topic, notification.data)
                    self._wake.set()
        except (ClaudeContainerError, OSError):
            pass  # as a clean end: the connection is gone
        finally:
            self._wake.set()

    def _take(self, topic: str, data: Any) -> None:
        if topic == "status":
            self._changes["status"] = Status.model_validate(data)
        elif topic == "requests":
            self._ask_requests = True
        elif topic == "audit":
            self._changes["newest"] = int(data["newest"])
        elif topic == "policy":
            self._policy_changes += 1
            self._changes["policy_changes"] = self._policy_changes
