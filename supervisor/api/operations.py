"""What front ends can ask of the supervisor. Each method is one of the API; parameters are checked here."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import Field, validate_call

from plugins.base.doors import gateway_name
from plugins.base.errors import ClaudeContainerError
from supervisor.approvals.answers import Approvals
from supervisor.approvals.requests import RequestError
from supervisor.assets import shipped_policy
from supervisor.fleet import Fleet, settled
from supervisor.gateway_desk import GatewayDesk
from supervisor.home import Home
from supervisor.hub import Hub, Topic
from supervisor.journal import Journal
from supervisor.managed import Managed
from supervisor.plugin_desk import PluginDesk
from supervisor.policies.keeper import PolicyKeeper
from supervisor.policies.store import PolicyStore
from supervisor.reconcile import Life, Process
from supervisor.start_config import StartConfigs
from supervisor.state_db import StateError
from supervisor.status import PluginStatus, Request, Status
from supervisor.wrappers import check_tool_name

METHODS = frozenset(
    {
        "status", "start_plugin", "stop_plugin", "restart_plugin", "add_plugin", "remove_plugin", "requests",
        "request", "approve", "deny", "approve_always", "lockdown", "save_policy", "shutdown", "undo",
        "renew_credentials",
    }
)  # fmt: skip

_SETTLING = 20.0  # seconds to wait for a plugin to run, or to end
_MINIMAL = "plugin: {name}\nversion: 1\nrules:\n  blocked_subcommands: []\n"

Text = Annotated[str, Field(max_length=4 * 1024 * 1024)]
Short = Annotated[str, Field(max_length=4096)]


class Operations:
    """The operator's side of the supervisor."""

    def __init__(
        self, home: Home, configs: StartConfigs, fleet: Fleet, keeper: PolicyKeeper, desk: PluginDesk,
        approvals: Approvals, store: PolicyStore, journal: Journal, hub: Hub, gateways: GatewayDesk,
        *, version: str,
        runtime: Literal["process", "docker"], why: str, stop: Callable[[], None],
    ) -> None:  # fmt: skip
        self._home = home
        self._configs = configs
        self._fleet = fleet
        self._keeper = keeper
        self._desk = desk
        self._approvals = approvals
        self._store = store
        self._journal = journal
        self._hub = hub
        self._gateways = gateways
        self._fixed: dict[str, Any] = {
            "pid": os.getpid(), "version": version, "home": str(home.root), "runtime": runtime,
            "runtime_reason": why, "workspace": str(configs.workspace), "origin": configs.origin,
            "started": time.time(),
        }  # fmt: skip
        self._stop = stop
        self._open = 0
        self._open_known = False
        self.operators = 0
        self.attended = asyncio.Event()  # set while an operator is attached
        hub.listen(self._requests_changed)

    # ------------------------------------------------------------ who is there, what is to be seen

    def attach(self) -> None:
        self.operators += 1
        self.attended.set()
        self._hub.changed("status")

    def detach(self) -> None:
        self.operators -= 1
        if not self.operators:
            self.attended.clear()
        self._hub.changed("status")

    def snapshot(self, topic: Topic) -> Any:
        """What a notification of this topic tells."""
        match topic:
            case "status":
                return self._status().model_dump(mode="json")
            case "audit":
                return {"newest": self._journal.newest}
            case "requests":
                return {"open": self._count_open()}
            case "policy":
                return {plugin.name: plugin.policy.enforced_hash for plugin in self._fleet.statuses()}

    async def status(self) -> Status:
        return self._status()

    def _status(self) -> Status:
        return Status(
            **self._fixed, operators=self.operators, lockdown=self._desk.lockdown,
            plugins=self._fleet.statuses(), requests_open=self._count_open(), warnings=self._hub.warnings,
        )  # fmt: skip

    def _requests_changed(self, topic: Topic, urgent: bool) -> None:
        if topic == "requests":
            self._open_known = False

    def _count_open(self) -> int:
        if not self._open_known:
            with suppress(StateError):  # the count before is the best that is known then
                self._open, self._open_known = self._approvals.open_count(), True
        return self._open

    # ------------------------------------------------------------ plugins

    @validate_call
    async def start_plugin(self, name: Short) -> PluginStatus:
        managed = self._fleet.get(name)
        self._fleet.held.discard(name)
        self._start_now(managed)
        return await self._settled(name)

    @validate_call
    async def stop_plugin(self, name: Short) -> PluginStatus:
        managed = self._fleet.get(name)
        self._fleet.held.add(name)
        self._fleet.changed()
        await self._fleet.until(lambda: managed.life.process is Process.NONE, _SETTLING)
        return self._present(name)

    @validate_call
    async def restart_plugin(self, name: Short) -> PluginStatus:
        await self.stop_plugin(name)
        return await self.start_plugin(name)

    def _start_now(self, managed: Managed) -> None:
        """Start it at once, however often it failed before."""
        if managed.life.process is Process.NONE:
            managed.life = Life(restarts=managed.life.restarts)
        self._fleet.changed()

    async def _settled(self, name: str) -> PluginStatus:
        """Wait until it is known whether the plugin runs, and its gateway if it has one."""
        names = (name, gateway_name(name))
        await self._fleet.until(
            lambda: all(settled(self._fleet.status(each)) for each in names if each in self._fleet.plugins),
            _SETTLING,
        )
        return self._present(name)

    def _present(self, name: str) -> PluginStatus:
        self._fleet.get(name)
        return self._fleet.status(name)

    @validate_call
    async def add_plugin(self, name: Short, text: Text | None = None) -> PluginStatus:
        check_tool_name(name)
        if self._home.policy_file(name).exists():
            raise ClaudeContainerError(
                f"There is a plugin {name!r} already: {self._home.policy_file(name)}.",
                hint=f"Edit that file, or first run: claude-container plugin remove {name}",
            )
        await self._fleet.check_tool(name)
        await self._save(name, _first_policy(name) if text is None else text, "")
        return await self._settled(name)

    @validate_call
    async def remove_plugin(self, name: Short) -> None:
        self._fleet.get(name)
        try:
            self._home.policy_file(name).unlink(missing_ok=True)
        except OSError as error:
            raise ClaudeContainerError(
                f"Cannot remove {self._home.policy_file(name)}: {error.strerror}."
            ) from error
        await self._keeper.remove(name)
        if not await self._fleet.until(lambda: name not in self._fleet.plugins, _SETTLING):
            raise ClaudeContainerError(f"{name} does not end.", hint=f"See: claude-container logs {name}")

    @validate_call
    async def save_policy(self, plugin: Short, text: Text, base_hash: Short) -> str:
        return await self._save(plugin, text, base_hash)

    async def _save(self, plugin: str, text: str, base_hash: str) -> str:
        saved = await asyncio.to_thread(self._store.save, plugin, text, base_hash)
        self._keeper.saved(plugin, saved)
        await self._keeper.look(plugin)
        return saved

    # ------------------------------------------------------------ requests

    async def requests(self) -> list[Request]:
        return self._approvals.list()

    @validate_call
    async def request(self, id: Short) -> Request:
        return self._approvals.get(id)

    @validate_call
    async def approve(
        self, id: Short, mode: Literal["once", "time"] = "once", minutes: float | None = None
    ) -> Request:  # fmt: skip
        return self._approvals.approve(id, mode, minutes)

    @validate_call
    async def approve_always(self, id: Short, text: Text, base_hash: Short) -> Request:
        """Save the policy that allows what the request asks for, and let through what waits for it."""
        request = self._approvals.get(id)
        if request.state not in ("open", "granted"):
            raise RequestError(
                f"Request {request.id} is {request.state} already.",
                hint="A new try makes a new request; see: claude-container approvals list",
            )
        await self._save(request.plugin, text, base_hash)
        return self._approvals.approve(request.id, "always")

    @validate_call
    async def deny(self, id: Short, reason: Short = "") -> Request:
        return self._approvals.deny(id, reason)

    @validate_call
    async def undo(self, id: Short) -> list[str]:
        """Put back what the approved push of a request took away. Returns the refs."""
        request = self._approvals.get(id)
        return list(await self._gateways.undo(request))

    @validate_call
    async def renew_credentials(self, values: dict[Short, Short]) -> list[str]:
        """Hand new values to the gateways that use them. Returns the names that were taken over."""
        return list(self._gateways.renew(values))

    # ------------------------------------------------------------ everything

    @validate_call
    async def lockdown(self, on: bool, message: Short = "") -> None:
        default = "The operator has locked everything down."
        await self._desk.lock_down((message.strip() or default) if on else None)

    async def shutdown(self) -> None:
        asyncio.get_running_loop().call_soon(self._stop)


def _first_policy(name: str) -> str:
    shipped = shipped_policy(name)
    return _MINIMAL.format(name=name) if shipped is None else shipped.read_text(encoding="utf-8")
