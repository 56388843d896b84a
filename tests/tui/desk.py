"""Driving the desk in tests: press keys, wait for what must come of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from textual.pilot import Pilot

from tests.tui.fake import FakeBackend
from tui.app import DeskApp
from tui.live import LiveBackend

_PATIENCE = 500  # times 10 ms
_CALM = 50  # looks at the screen, 10 ms apart, that must all be the same


@dataclass
class Driver:
    app: DeskApp
    pilot: Pilot[None]
    backend: FakeBackend

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(*("space" if character == " " else character for character in text))

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until the condition holds; fails with the screen's text when it never does."""
        for _ in range(_PATIENCE):
            if condition():
                return
            await self.pilot.pause(0.01)
        raise AssertionError(f"{what or 'it'} never came; the screen says:\n{self.text}")

    async def sees(self, text: str) -> None:
        """Wait until the words are on the screen, however they are wrapped."""
        await self.until(lambda: text in self.text or text in self._unwrapped, repr(text))

    async def settles(self) -> None:
        """Wait until the screen has come to rest: slow checks in the background have shown their results."""
        seen, calm = "", 0
        while calm < _CALM:
            await self.pilot.pause(0.01)
            seen, calm = self.text, calm + 1 if self.text == seen else 0

    @property
    def text(self) -> str:
        """The screen in front, as one would read it."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    @property
    def _unwrapped(self) -> str:
        inner = [re.sub(r"^.*?│(.*)│.*$", r"\1", line) for line in self.text.splitlines()]  # dialogs only
        return re.sub(r"[\s│]+", " ", "\n".join(inner))

    @property
    def notices(self) -> list[str]:
        return [notification.message for notification in self.app._notifications]


@asynccontextmanager
async def open_desk(
    backend: FakeBackend | None = None, *, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[Driver]:
    backend = backend or FakeBackend()
    app = DeskApp(backend)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot, backend)
        await driver.until(lambda: app.feed.desk.link != "connecting", "the backend's state")
        await pilot.pause()
        yield driver
        app.exit()


@asynccontextmanager
async def open_live_desk(backend: LiveBackend) -> AsyncIterator[Driver]:
    """The desk on a real backend; nothing is waited for."""
    app = DeskApp(backend)
    async with app.run_test() as pilot:
        yield Driver(app, pilot, FakeBackend())
        app.exit()
