"""The real backend: a supervisor's API, its audit log, its policy files.

Attaches to the supervisor that runs on the home, or starts one in this program. When the
supervisor goes away it says so and attaches again as soon as one is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from plugins.base.errors import ClaudeContainerError
from supervisor.client import Client, NotRunning
from supervisor.home import Home
from supervisor.status import Status
from tui.backend import Desk, Diagnostic, PolicyText, Version

if TYPE_CHECKING:
    from supervisor.audit.reader import AuditFilter, AuditReader, AuditRow
    from supervisor.daemon import EmbeddedSupervisor
    from supervisor.policies import PolicyStore

_RETRY = 2.0  # seconds between attempts to attach again
_BATCH = 0.1  # seconds in which notifications are taken together


class LiveBackend:
    """See `tui.backend.Backend`."""

    def __init__(self, home: Home, workspace: Path) -> None:
        self.embedded = False
        self._home = home
        self._workspace = workspace
        self._client: Client | None = None
        self._supervisor: EmbeddedSupervisor | None = None
        self._desk = Desk()
        self._reader: AuditReader | None = None

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
                told(newest=await asyncio.to_thread(self._newest))
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
        if self._reader is not None:
            self._reader.close()
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

    async def deny(self, request: str, reason: str) -> None:
        await self._connected().deny(request, reason)

    async def lockdown(self, on: bool, message: str) -> None:
        await self._connected().lockdown(on, message)

    async def save_policy(self, plugin: str, text: str, base: str) -> str:
        return await self._connected().save_policy(plugin, text, base)

    # ------------------------------------------------------------ policies

    def _store(self) -> PolicyStore:
        from supervisor.policies import PolicyStore

        return PolicyStore(self._home)

    def policy_names(self) -> Sequence[str]:
        return self._store().names()

    def read_policy(self, plugin: str) -> PolicyText:
        file = self._store().read(plugin)
        if not file.hash and file.problems:
            raise ClaudeContainerError(str(file.problems[0]))
        return PolicyText(file.text, file.hash, file.path)

    def enforced_policy(self, plugin: str) -> str:
        return self._store().last_good(plugin) or ""

    def check_policy(self, plugin: str, text: str) -> tuple[Diagnostic, ...]:
        from plugins.base.policy import PolicyError

        try:
            self._store().parse(plugin, text)
        except PolicyError as error:
            return tuple(Diagnostic(each.line, each.column, each.message) for each in error.problems)
        return ()

    def policy_versions(self, plugin: str) -> Sequence[Version]:
        return [Version(entry.hash, entry.time, entry.who) for entry in self._store().history(plugin)]

    def policy_version(self, plugin: str, hash_: str) -> str:
        return self._store().text_of(plugin, hash_)

    # ------------------------------------------------------------ audit and logs

    def _audit(self) -> AuditReader | None:
        """The reader; None as long as there is no audit log."""
        if self._reader is None and self._home.audit_db.exists():
            from supervisor.audit.reader import AuditReader

            self._reader = AuditReader(self._home.audit_db)
        return self._reader

    def _newest(self) -> int:
        reader = self._audit()
        try:
            return reader.newest() if reader else 0
        except ClaudeContainerError:
            return 0  # whoever shows rows tells what is wrong with the log

    def matches(self, wanted: AuditFilter) -> LiveMatches:
        return LiveMatches(self._audit(), wanted)

    def latest(self, wanted: AuditFilter, limit: int) -> Sequence[AuditRow]:
        reader = self._audit()
        return reader.latest(wanted, limit) if reader else []

    def export(self, wanted: AuditFilter, target: Path) -> int:
        from supervisor.audit.export import export

        reader = self._audit()
        if reader is None:
            raise ClaudeContainerError("There is nothing to export yet.")
        try:
            with target.open("x", encoding="utf-8", newline="") as file:
                return export(reader, wanted, "csv" if target.suffix == ".csv" else "jsonl", file)
        except OSError as error:
            raise ClaudeContainerError(
                f"Cannot write {target}: {error.strerror}.",
                hint="Name a new file in a directory you can write.",
            ) from error

    def log_files(self) -> Sequence[Path]:
        return sorted(self._home.logs.glob("*.log"))


@dataclass(frozen=True, slots=True)
class LiveMatches:
    """See `tui.backend.Matches`."""

    reader: AuditReader | None
    wanted: AuditFilter

    def count(self) -> int:
        return self.reader.count(self.wanted) if self.reader else 0

    def rows(self, first: int, limit: int) -> Sequence[AuditRow]:
        return self.reader.rows(self.wanted, first, limit) if self.reader else []


class _Following:
    """One connection's life: notifications in, states out, several notifications taken together."""

    def __init__(self, client: Client, told: Callable[..., None]) -> None:
        self._client = client
        self._told = told
        self._changes: dict[str, Any] = {}
        self._ask_requests = True
        self._policy_changes = 0
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
                self._changes["requests"] = tuple(await self._client.requests())
            changes, self._changes = self._changes, {}
            self._told(**changes)
            await self._wake.wait()
            await asyncio.sleep(_BATCH)
            self._wake.clear()

    async def _listen(self) -> None:
        try:
            async for notification in self._client.notifications():
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
