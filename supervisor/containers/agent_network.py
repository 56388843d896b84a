"""How an agent's container reaches the world: by its gateway, where plugins live in containers.

Where they are processes, no container reaches them, and the agent has a network like any container's.
Blocking; raises `EngineError`s.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from plugins.base.control import StartConfig
from plugins.base.doors import gateway_name
from plugins.base.egress.environment import proxies
from plugins.base.errors import ClaudeContainerError
from supervisor.containers.facts import START
from supervisor.containers.names import AGENT
from supervisor.containers.network_facts import Network
from supervisor.containers.networks import ContainerNetworks
from supervisor.home import Home
from supervisor.status import PluginStatus, Status

GATEWAY: Final = gateway_name(AGENT)
_WITHIN: Final = "localhost,127.0.0.1,::1"  # what the agent itself serves


@dataclass(frozen=True, slots=True)
class Way:
    """The network that the container is on (None: none), and what tells its programs of the gateway."""

    network: Network | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def way_out(home: Home, state: Status, networks: ContainerNetworks) -> Way:
    """The way for one container. Raises `ClaudeContainerError` when its gateway does not run."""
    if state.runtime == "process":
        return Way(networks.outer())
    gateway = next((plugin for plugin in state.plugins if plugin.name == GATEWAY), None)
    if gateway is None:
        return Way()
    if gateway.pid is None:
        raise _does_not_run(gateway)
    return Way(networks.inner(AGENT), environment_of(_door(home), secrets.token_hex(16)))


def environment_of(door: str, command: str) -> dict[str, str]:
    """What tells programs of the gateway. `command` is the id by which the audit log knows this agent."""
    return proxies(door, command, beside=_WITHIN)


def _does_not_run(gateway: PluginStatus) -> ClaudeContainerError:
    reason = f": {gateway.reason}" if gateway.reason else "."
    return ClaudeContainerError(
        f"The agent would have no network, as {GATEWAY} is {gateway.state}{reason}",
        hint=f"See: claude-container logs {GATEWAY}  (or start it: claude-container plugin start {GATEWAY})",
    )


def _door(home: Home) -> str:
    """Where the gateway listens, as it was told itself."""
    try:
        told = (home.container_start(GATEWAY) / Path(START).name).read_bytes()
        return StartConfig.model_validate_json(told).gateway
    except (OSError, ValidationError) as error:
        raise ClaudeContainerError(
            f"It cannot be read where {GATEWAY} listens.",
            hint=f"Run: claude-container plugin restart {GATEWAY}",
        ) from error
