"""What plugins are started with."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from plugins.base.control import StartConfig
from supervisor.gateways import Doors, module_of, tool_of
from supervisor.home import Home


@dataclass(frozen=True, slots=True)
class StartConfigs:
    """Makes the start configuration of any plugin, each with a token of its own."""

    home: Home
    workspace: Path
    path: str  # PATH of the real tools
    origin: str = ""
    git_config: dict[str, str] = field(default_factory=dict)
    doors: Callable[[str], Doors] = lambda _: Doors()  # of a tool's gateway

    def make(self, plugin: str) -> StartConfig:
        doors = self.doors(tool_of(plugin))
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
            module=module_of(plugin),
            gateway=doors.gateway,
            stream=doors.stream,
        )

    def fits(self, config: StartConfig) -> bool:
        """Whether a plugin that was started with this serves as well as a new one."""
        doors = self.doors(tool_of(config.plugin))
        return (config.workspace, config.origin, config.control, config.gateway, config.stream) == (
            str(self.workspace), self.origin, str(self.home.control_socket), doors.gateway, doors.stream,
        )  # fmt: skip
