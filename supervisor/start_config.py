"""What plugins are started with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from plugins.base.control import StartConfig
from plugins.base.doors import tool_of
from supervisor.gateways import Doors
from supervisor.home import Home


class Where(Protocol):
    """See `supervisor.gateways.Gateways`."""

    def doors(self, tool: str) -> Doors: ...

    def module(self, plugin: str) -> str: ...


@dataclass(frozen=True, slots=True)
class StartConfigs:
    """Makes the start configuration of any plugin, each with a token of its own."""

    home: Home
    workspace: Path
    path: str  # PATH of the real tools
    origin: str = ""
    git_config: dict[str, str] = field(default_factory=dict)
    gateways: Where | None = None  # None: no tool has one

    def make(self, plugin: str) -> StartConfig:
        doors = self._doors(plugin)
        return StartConfig(
            plugin=plugin,
            socket=str(self.home.plugin_socket(plugin)),
            control=str(self.home.control_socket),
            token=secrets.token_hex(32),
            workspace=str(self.workspace),
            state=str(self.home.plugin_state(plugin)),
            client=str(self.home.cli / "plugin-client"),
            path=self.path,
            origin=self.origin,
            git_config=self.git_config,
            module=self.gateways.module(plugin) if self.gateways is not None else "plugins.base",
            gateway=doors.gateway,
            stream=doors.stream,
        )

    def fits(self, config: StartConfig) -> bool:
        """Whether a plugin that was started with this serves as well as a new one."""
        doors = self._doors(config.plugin)
        return (config.workspace, config.origin, config.control, config.gateway, config.stream) == (
            str(self.workspace), self.origin, str(self.home.control_socket), doors.gateway, doors.stream,
        )  # fmt: skip

    def _doors(self, plugin: str) -> Doors:
        return self.gateways.doors(tool_of(plugin)) if self.gateways is not None else Doors()
