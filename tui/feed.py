"""Carries the backend's state to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App
from textual.signal import Signal

from plugins.base.errors import ClaudeContainerError
from tui.backend import Backend, Desk


class Feed:
    """The latest `Desk`, and a signal whenever it is replaced."""

    def __init__(self, app: App[None], backend: Backend, on_ready: Callable[[], None] | None = None) -> None:
        self.backend = backend
        self.desk = Desk()
        self.changed: Signal[Desk] = Signal(app, "desk")
        self.failure: ClaudeContainerError | None = None  # why the app ended by itself
        self._app = app
        self._on_ready = on_ready

    async def run(self) -> None:
        """Follow the backend until cancelled; ends the app when there is nothing to follow."""
        try:
            await self.backend.follow(self._take)
        except ClaudeContainerError as error:
            self.failure = error
            self._app.exit(return_code=1)

    def _take(self, desk: Desk) -> None:
        if desk == self.desk:
            return
        self.desk = desk
        self.changed.publish(desk)
        if self._on_ready is not None and _usable(desk):
            ready, self._on_ready = self._on_ready, None
            ready()


def _usable(desk: Desk) -> bool:
    """Whether the agent can start to work: no plugin that is wanted is still on its way."""
    plugins = desk.status.plugins if desk.status else ()
    return any(plugin.state == "running" for plugin in plugins) and all(
        plugin.state != "starting" and plugin.policy.state != "stale" for plugin in plugins if plugin.wanted
    )
