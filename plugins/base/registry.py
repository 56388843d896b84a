"""Finds the plugin class of a tool: its own by entry point, else the one for any tool."""

from __future__ import annotations

from importlib.metadata import entry_points

from plugins.base.errors import ClaudeContainerError
from plugins.base.plugin import Plugin

GROUP = "claude_container.plugins"


def plugin_class(tool: str) -> type[Plugin]:
    """Return the class registered for `tool`, or `Plugin`, which serves any tool."""
    for entry in entry_points(group=GROUP, name=tool):
        found = entry.load()
        if not (isinstance(found, type) and issubclass(found, Plugin)):
            raise ClaudeContainerError(
                f"The entry point {GROUP}:{tool} is not a Plugin class: {entry.value}.",
                hint="Name a subclass of plugins.base.plugin.Plugin, or remove the package that sets it.",
            )
        return found
    return Plugin
