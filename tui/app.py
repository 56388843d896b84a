"""The app: theme, modes, bindings. Screens do the rest."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, cast

from textual import work
from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen

from tui.backend import Backend
from tui.commands import GLOBAL, Palette, bindings
from tui.feed import Feed
from tui.screens.base import DeskScreen
from tui.screens.dashboard import Dashboard


def _approvals() -> Screen[None]:
    from tui.screens.approvals import Approvals

    return Approvals()


def _audit() -> Screen[None]:
    from tui.screens.audit import Audit

    return Audit()


def _policy() -> Screen[None]:
    from tui.screens.policy import PolicyEditor

    return PolicyEditor()


def _logs() -> Screen[None]:
    from tui.screens.logs import Logs

    return Logs()


class DeskApp(App[None]):
    """cc-tui. Exits by itself only when the supervisor cannot be started; then `failure` says why."""

    TITLE = "Claude Container"
    CSS_PATH = ["styles/app.tcss", "styles/dashboard.tcss"]  # noqa: RUF012 - with the first screen at once
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {Palette}  # noqa: RUF012 - Textual's own declaration
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(GLOBAL)]
    MODES = {  # noqa: RUF012 - Textual's own declaration
        "dashboard": Dashboard, "approvals": _approvals, "audit": _audit, "policy": _policy, "logs": _logs,
    }  # fmt: skip
    DEFAULT_MODE = "dashboard"

    def __init__(self, backend: Backend, *, on_ready: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.feed = Feed(self, backend, on_ready)

    def on_mount(self) -> None:
        self.call_after_refresh(self._painted)
        # Told to end, or the terminal is gone: what was started is ended all the same.
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signum, partial(self.exit, return_code=128 + signum))

    def _painted(self) -> None:
        """The first screen stands: what needs not be there for it comes now."""
        gc.enable()
        gc.freeze()
        self.run_worker(self.feed.run(), name="feed", group="feed")

    def exit(self, *args: Any, **kwargs: Any) -> None:
        """As `App.exit`; what still works in the background finds no screen to show it on any more."""
        self.workers.cancel_all()
        super().exit(*args, **kwargs)

    @property
    def front(self) -> DeskScreen:
        """The numbered screen in front, below any dialog."""
        return cast(DeskScreen, self.screen_stack[0])

    def action_toggle_theme(self) -> None:
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"

    def action_help(self) -> None:
        from tui.screens.help import help_for

        self.push_screen(help_for(self.front))

    @work(exclusive=True, group="flow")
    async def action_lockdown(self) -> None:
        from tui import operations

        await operations.lockdown(self.front)

    @work(exclusive=True, group="flow")
    async def action_leave(self) -> None:
        from tui import operations

        await operations.leave(self.front)
