"""What the five numbered screens have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from plugins.base.errors import ClaudeContainerError
from tui.backend import Backend, Desk
from tui.commands import Command
from tui.feed import Feed
from tui.widgets.key_bar import KeyBar
from tui.widgets.masthead import Masthead, Tab

if TYPE_CHECKING:
    from tui.app import DeskApp


class DeskScreen(Screen[None]):
    """Masthead, body, footer. `show` is called with the state when it changed and this screen is in front."""

    MODE: ClassVar[str]
    COMMANDS_HERE: ClassVar[tuple[Command, ...]] = ()

    def compose(self) -> ComposeResult:
        yield Masthead(self.MODE)
        yield from self.body()
        yield KeyBar()

    def body(self) -> Iterable[Widget]:
        raise NotImplementedError

    def show(self, desk: Desk) -> None:
        """Draw the state."""
        raise NotImplementedError

    @property
    def feed(self) -> Feed:
        return cast("DeskApp", self.app).feed

    @property
    def backend(self) -> Backend:
        return self.feed.backend

    @property
    def desk(self) -> Desk:
        return self.feed.desk

    @property
    def unsaved(self) -> str:
        """What would be lost by leaving now, in words; empty when nothing would."""
        return ""

    def on_mount(self) -> None:
        self.feed.changed.subscribe(self, self._changed)

    def on_screen_resume(self) -> None:
        self._changed(self.desk)

    def _changed(self, desk: Desk) -> None:
        if self.is_current and self.is_mounted:
            self.query_one(Masthead).show(desk)
            self.show(desk)

    @on(Tab.Chosen)
    async def _go(self, event: Tab.Chosen) -> None:
        await self.app.switch_mode(event.mode)

    async def attempt(self, doing: Awaitable[object], done: str) -> bool:
        """Do it, and say that it is done or why not."""
        try:
            await doing
        except ClaudeContainerError as error:
            self.complain(error)
            return False
        if done:
            self.notify(done, markup=False)
        return True

    def complain(self, error: ClaudeContainerError) -> None:
        self.notify("\n".join(filter(None, (error.message, error.hint))), severity="error", markup=False)
