"""Which plugins cannot be used, in one sentence of sensible length, however many there are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from supervisor.status import PluginStatus

_NAMED: Final = 3  # as many are named; the status tells of all
_STARTING: Final = ("starting", "stopping")


def unhealthy(plugins: Sequence[PluginStatus]) -> str:
    """What is wrong; "" when every plugin can be used, or is not wanted."""
    problems = [problem for plugin in plugins if (problem := _problem(plugin))]
    return "; ".join(filter(None, (_some(problems, "; "), _still_starting(plugins))))


def _still_starting(plugins: Sequence[PluginStatus]) -> str:
    wanted = [plugin for plugin in plugins if plugin.wanted]
    names = [plugin.name for plugin in wanted if plugin.state in _STARTING]
    if not names:
        return ""
    running = sum(plugin.state == "running" for plugin in wanted)
    return f"{running} of {len(wanted)} plugins are running, still starting: {_some(names, ', ')}"


def _problem(plugin: PluginStatus) -> str:
    """Why the plugin cannot be used, unless the operator wants it so or it is not known yet."""
    if not plugin.wanted or plugin.state in _STARTING:
        return ""
    if plugin.state != "running":
        return f"{plugin.name} is not healthy ({plugin.state}): {plugin.reason or 'it does not get ready'}"
    if plugin.policy.state == "missing":
        first = plugin.policy.problems[0] if plugin.policy.problems else "there is none"
        return f"{plugin.name} refuses everything until it has a valid policy: {first}"
    return ""


def _some(texts: Sequence[str], between: str) -> str:
    more = len(texts) - _NAMED
    return between.join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
