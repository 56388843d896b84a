"""Gateways: the second process of a tool whose plugin or policy wants one, and where both find it.

A gateway is named after its tool, goes by the tool's policy file, and has neither wrapper nor socket. git's
is its plugin's own and has the credentials; that of any other tool is there while `network.allow` of the
policy in force has hosts, and has none. The agent has nothing but a gateway, where it lives in a container.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from plugins.base.doors import address, door, gateway_name, is_gateway, tool_of
from plugins.base.egress import MODULE as EGRESS
from plugins.base.errors import ClaudeContainerError
from plugins.base.plugin import Plugin
from plugins.base.policy import Policy
from plugins.base.registry import plugin_class
from supervisor.state_db import StateDb

_KEY: Final = "gateway:"
_HOST: Final = "127.0.0.1"
_NEVER_OUTGOING: Final = range(10_000, 32_768)  # ports below those that Linux gives to connections by itself
_TRIES: Final = 100
_GIT: Final = "git"


def serves(tool: str) -> bool:
    """Whether the tool has commands, and so a plugin; else it has a gateway alone."""
    return _kind(tool).rules_model.commands


def tool_of_image(plugin: str) -> str:
    """The tool whose image the plugin runs in: for what has no plugin, git's, which every home can have."""
    return tool_of(plugin) if serves(tool_of(plugin)) else _GIT


def own_gateway(tool: str) -> str:
    """The module of the gateway that the tool's plugin brings, with the credentials; "" when it has none."""
    return _kind(tool).gateway


def _kind(tool: str) -> type[Plugin]:
    """The tool's plugin. What is wrong with it shows when it starts; until then it counts as any tool's."""
    try:
        return plugin_class(tool)
    except ClaudeContainerError:
        return Plugin


def _module_for(kind: type[Plugin], policy: Policy | None) -> str:
    """The module of the gateway under this policy; "" when there is none."""
    connects = not kind.rules_model.commands or (policy is not None and bool(policy.network.allow))
    return kind.gateway or (EGRESS if connects else "")


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a gateway listens, and the secret that opens it: see `StartConfig`."""

    gateway: str = ""
    stream: str = ""


class Gateways:
    """Which tools have a gateway, and where each listens on this machine.

    `in_force` finds the policy of a tool that nobody has said anything of yet; `running` are the plugins that
    an earlier supervisor left: their gateways may hold their ports. `contained`: agents live in containers
    that can reach gateways.
    """

    def __init__(
        self, db: StateDb, in_force: Callable[[str], Policy | None], running: tuple[str, ...] = (),
        *, contained: bool = True,
    ) -> None:  # fmt: skip
        self._db = db
        self._in_force = in_force
        self._running = running
        self._contained = contained
        self._serving: dict[str, bool] = {}
        self._modules: dict[str, str] = {}
        self._doors: dict[str, Doors] = {}

    def take(self, tool: str, policy: Policy | None) -> None:
        """Go by this policy from now on."""
        kind = _kind(tool)
        self._serving[tool] = kind.rules_model.commands
        there = self._contained or self._serving[tool]
        self._modules[tool] = _module_for(kind, policy) if there else ""

    def of(self, tool: str) -> str | None:
        """The name of the tool's gateway; None when it has none."""
        return gateway_name(tool) if self._module(tool) else None

    def processes(self, tool: str) -> tuple[str, ...]:
        """The plugins that are to run for a tool that has a policy file."""
        gateway = self.of(tool)
        plugin = (tool,) if self._serving[tool] else ()
        return (*plugin, gateway) if gateway is not None else plugin

    def module(self, plugin: str) -> str:
        """The Python module that runs this plugin."""
        return self._module(tool_of(plugin)) if is_gateway(plugin) else "plugins.base"

    def doors(self, tool: str) -> Doors:
        """Where it listens: the same for all that is started."""
        module = self._module(tool)
        if not module:
            return Doors()
        if tool not in self._doors:
            self._doors[tool] = doors(
                tool, self._db, running=gateway_name(tool) in self._running, streams=module != EGRESS
            )
        return self._doors[tool]

    def _module(self, tool: str) -> str:
        if tool not in self._modules:
            self.take(tool, self._in_force(tool))
        return self._modules[tool]


def doors(tool: str, db: StateDb, *, running: bool, streams: bool = True) -> Doors:
    """Where the tool's gateway listens on this machine: the same as last time while that can be.

    `running`: a gateway of an earlier supervisor may hold the ports. `streams`: it has a second door.
    """
    kept = _kept(db.get(_KEY + tool))
    if kept is not None and bool(kept.stream) == streams and (running or _free(kept)):
        return kept
    new = _new(streams=streams)
    db.set(_KEY + tool, json.dumps([new.gateway, new.stream]))
    return new


def _kept(text: str | None) -> Doors | None:
    return Doors(*json.loads(text)) if text else None


def _new(*, streams: bool) -> Doors:
    with closing(socket.socket()) as first, closing(socket.socket()) as second:
        ports = [take_port(each) for each in (first, second)]
    return Doors(
        f"http://{_HOST}:{ports[0]}/{secrets.token_urlsafe(32)}", f"{_HOST}:{ports[1]}" if streams else ""
    )


def take_port(sock: socket.socket) -> int:
    """Take a free port that no outgoing connection is given before somebody listens there."""
    for _ in range(_TRIES):
        with suppress(OSError):
            sock.bind((_HOST, secrets.choice(_NEVER_OUTGOING)))
            break
    else:
        sock.bind((_HOST, 0))
    return int(sock.getsockname()[1])


def _free(chosen: Doors) -> bool:
    """Whether its ports can be listened on."""
    streams = [address(chosen.stream)] if chosen.stream else []
    for where in (door(chosen.gateway).address, *streams):
        with closing(socket.socket()) as each:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                each.bind(where)
            except OSError:
                return False
    return True
