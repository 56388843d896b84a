"""What plugins are started with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from plugins.base.control import StartConfig
from supervisor.home import Home


@dataclass(frozen=True, slots=True)
class StartConfigs:
    """Makes the start configuration of any plugin, each with a token of its own."""

    home: Home
    workspace: Path
    path: str  # PATH of the real tools
    origin: str = ""
    git_config: dict[str, str] = field(default_factory=dict)

    def make(self, plugin: str) -> StartConfig:
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
        )

    def fits(self, config: StartConfig) -> bool:
        """Whether a plugin that was started with this serves as well as a new one."""
        return (config.workspace, config.origin, config.control) == (
            str(self.workspace), self.origin, str(self.home.control_socket),
        )  # fmt: skip
