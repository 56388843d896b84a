"""What images and containers are called, and what tells ours from everybody else's. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

from supervisor.home import Home

REPOSITORY: Final = "claude-container"
AGENT: Final = "claude"
LABEL_HOME: Final = "claude-container.home"
LABEL_INSTANCE: Final = "claude-container.instance"  # of one home: what is not labelled so is never touched
LABEL_PLUGIN: Final = "claude-container.plugin"
LABEL_RUNNER: Final = "claude-container.runner"  # of an agent's container: the process that it belongs to


def image(tool: str, version: str) -> str:
    """The image that a tool's plugin and gateway run in; `AGENT` has one, too."""
    return f"{REPOSITORY}/{tool.lower()}:{version}"


def instance_of(home: Home) -> str:
    """Names this home among all that use the same engine."""
    return hashlib.sha256(str(home.root).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def name_of(home: Home, plugin: str) -> str:
    """What the container of a plugin, or of a gateway, is called."""
    return f"{REPOSITORY}-{instance_of(home)}-{plugin}"
