"""The supervisor: puts the parts together, for one home and one workspace.

It is the only writer of state. When it is killed, plugins go on by their last good policy and keep
their events; the next one adopts them. When it is told to stop, it stops them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from plugins.base.errors import ClaudeContainerError
from supervisor import lock
from supervisor.api.operations import Operations
from supervisor.api.server import ApiServer
from supervisor.approvals.answers import Approvals
from supervisor.audit.store import AuditStore
from supervisor.control_server import ControlServer
from supervisor.credentials import Credentials
from supervisor.fleet import Fleet
from supervisor.gateway_desk import GatewayDesk
from supervisor.gateways import Gateways
from supervisor.home import Home
from supervisor.hub import Hub
from supervisor.journal import Journal
from supervisor.plugin_desk import PluginDesk
from supervisor.policies.keeper import PolicyKeeper
from supervisor.policies.store import PolicyStore
from supervisor.runtimes import leftovers, metrics
from supervisor.runtimes.process import ProcessRuntime
from supervisor.runtimes.runtime import Runtime
from supervisor.start_config import StartConfigs
from supervisor.state_db import StateDb
from supervisor.tasks import Tasks
from supervisor.workspace import checked, git_config, pinned_origin, tool_path

log = logging.getLogger(__name__)

_FLUSHING = 3.0  # seconds for the last audit events, when the log cannot be written


class Supervisor:
    """Use `run` once. `runtime` is a name, or any runtime made for the same home; `why` says why that one."""

    def __init__(
        self,
        home: Home,
        workspace: Path,
        runtime: Literal["process", "docker"] | Runtime = "process",
        why: str = "",
    ) -> None:
        self._home = home
        self._why = why
        self._workspace = workspace
        self._runtime = runtime
        self._stopping = asyncio.Event()

    def request_stop(self) -> None:
        """Let `run` stop the plugins and return. Call it in the event loop's thread."""
        self._stopping.set()

    async def run(self, *, ready: Callable[[], None] | None = None) -> None:
        """Supervise until `request_stop`. `ready` is called when the API can be used.

        Raises `ClaudeContainerError` when it cannot start: `AlreadyRunning`, an unusable home or workspace.
        """
        self._home.create()
        workspace = checked(self._workspace, self._home)
        with lock.held(self._home.lock_file):
            db, audit = StateDb(self._home.state_db), AuditStore(self._home.audit_db)
            try:
                db.open()
                audit.open()
                await self._supervise(workspace, db, audit, ready or (lambda: None))
            finally:
                await asyncio.to_thread(audit.close)
                db.close()

    async def _supervise(
        self, workspace: Path, db: StateDb, audit: AuditStore, ready: Callable[[], None]
    ) -> None:
        credentials = Credentials(PolicyStore(self._home))
        credentials.take()
        runtime = self._made()
        hub = Hub()
        configs = await asyncio.to_thread(_configs, self._home, workspace, db, hub)
        try:
            await leftovers.stop(self._home, but=runtime.name)
            gateways = Gateways(
                db, PolicyStore(self._home).in_force, await runtime.found(),
                contained=runtime.name == "docker",
            )  # fmt: skip
            configs = replace(configs, gateways=gateways)
            async with asyncio.TaskGroup() as group:
                parts = _Parts(
                    self._home, configs, gateways, runtime, db, audit, hub, Tasks(group), credentials,
                    self.request_stop, self._why,
                )  # fmt: skip
                await parts.start(group, ready)
                await self._stopping.wait()
                await parts.stop()
        except BaseExceptionGroup as errors:
            raise _alone(errors) from errors
        finally:
            await runtime.close()

    def _made(self) -> Runtime:
        if self._runtime == "process":
            return ProcessRuntime(self._home)
        if self._runtime == "docker":
            from supervisor.containers.runtime import DockerRuntime  # brings the SDK

            return DockerRuntime(self._home)
        return self._runtime


class _Parts:
    """The parts of one run, and the order in which they start and stop."""

    def __init__(
        self, home: Home, configs: StartConfigs, gateways: Gateways, runtime: Runtime, db: StateDb,
        audit: AuditStore, hub: Hub, tasks: Tasks, credentials: Credentials, stop: Callable[[], None],
        why: str,
    ) -> None:  # fmt: skip
        store = PolicyStore(home)
        self._home = home
        self._runtime = runtime
        self._hub = hub
        self._tasks = tasks
        self.journal = Journal(audit, hub)
        self.fleet = Fleet(home, runtime, configs, self.journal, hub, tasks)
        self.keeper = PolicyKeeper(home, store, self.fleet, gateways, self.journal, hub, tasks)
        self.approvals = Approvals(
            db, lambda: hub.changed("requests"), lambda: self.operations.operators, self.journal.record
        )
        self.desk = PluginDesk(
            self.fleet, self.keeper, self.approvals, self.journal, hub, db, credentials.values
        )  # fmt: skip
        self.operations = Operations(
            home, configs, self.fleet, self.keeper, self.desk, self.approvals, store, self.journal, hub,
            GatewayDesk(self.fleet, self.desk, credentials, self.journal),
            version=_version(), runtime=runtime.name, why=why, stop=stop,
        )  # fmt: skip
        self._services: list[asyncio.Task[Any]] = []

    async def start(self, group: asyncio.TaskGroup, ready: Callable[[], None]) -> None:
        def service(work: Coroutine[Any, Any, Any]) -> None:
            self._services.append(group.create_task(work))

        self.journal.note("supervisor", "", f"The supervisor started (version {_version()}).")
        self._runtime.watch(self._told)
        await self.fleet.adopt()
        self._control = ControlServer(self._home, self.desk)
        looked = asyncio.Event()
        service(self.journal.run())
        service(self._control.run())
        service(self.keeper.run(looked.set))
        await looked.wait()  # until then it is not known what should run
        service(self.fleet.run())
        service(self._measure())
        self._api = ApiServer(self._home, self.operations, self._hub)
        service(self._api.run())
        ready()

    async def stop(self) -> None:
        """Stop the plugins while everything still listens to them, then everything else."""
        self.approvals.close()
        await self.fleet.close()
        self.journal.note("supervisor", "", "The supervisor stopped.")
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSHING):
                await self.journal.flush()
        self._api.close()
        self._control.close()
        self._tasks.cancel()
        for task in self._services:
            task.cancel()

    def _told(self, problem: str | None) -> None:
        """The runtime cannot start plugins for now, or can again."""
        self._hub.warn("runtime", problem)
        if problem is None:
            self.fleet.resume()
        else:
            self.fleet.pause()

    async def _measure(self) -> None:
        """Sample CPU and memory of the plugins while an operator is attached."""
        while True:
            await self.operations.attended.wait()
            for managed in list(self.fleet.plugins.values()):
                if managed.instance is not None:
                    managed.usage = await managed.instance.sample(managed.usage)
            self._hub.changed("status", urgent=False)
            await asyncio.sleep(metrics.INTERVAL)


def _alone(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one thing that went wrong, when it is of the user's world; else everything."""
    first = errors.exceptions[0]
    return first if len(errors.exceptions) == 1 and isinstance(first, ClaudeContainerError) else errors


def _configs(home: Home, workspace: Path, db: StateDb, hub: Hub) -> StartConfigs:
    path = tool_path(home, workspace)
    origin, present = pinned_origin(workspace, db, path)
    if present != origin:
        hub.warn(
            "origin",
            f"The workspace's origin is {present or 'not set'} now, but was {origin or 'not set'} when it "
            "was first started: only that one is the policy's origin.",
        )
    return StartConfigs(home, workspace, path, origin, git_config(path))


def _version() -> str:
    try:
        return version("claude-container")
    except PackageNotFoundError:
        return "unknown"
