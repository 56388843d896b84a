"""5 Logs: what the supervisor and the plugins write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from plugins.base.text import printable
from tui.backend import Desk
from tui.commands import LOGS, bindings
from tui.format import count
from tui.screens.base import DeskScreen
from tui.screens.dialogs import Reading
from tui.tail import Tail
from tui.widgets.columns import Cell, Column
from tui.widgets.item_list import ItemList
from tui.widgets.line_list import LineList
from tui.widgets.log_view import LogView


class LogFiles(ItemList[Path]):
    resting = True
    columns = (Column("log", 10, grow=True),)

    def key(self, item: Path) -> str:
        return str(item)

    def row(self, item: Path) -> Sequence[Cell]:
        return (Cell(printable(item.stem)),)


class Logs(DeskScreen):
    MODE = "logs"
    COMMANDS_HERE = LOGS
    CSS_PATH = "../styles/logs.tcss"
    BINDINGS: ClassVar = bindings(LOGS)
    AUTO_FOCUS = "#lines"

    def body(self) -> Iterable[Widget]:
        files = LogFiles(id="log-files")
        files.empty = "Loading …"
        view = LogView(id="lines")
        view.empty = "Loading …"
        yield Horizontal(files, view)
        yield Static("", id="log-note", markup=False)

    def on_mount(self) -> None:
        self._tail: Tail | None = None
        self._reading = asyncio.Lock()
        self._second = self.set_interval(1.0, self._poll, pause=True)

    def on_screen_resume(self) -> None:
        self._second.resume()
        self._poll()

    def on_screen_suspend(self) -> None:
        self._second.pause()

    def show(self, desk: Desk) -> None:
        """Logs are files: they show whether or not a supervisor runs."""

    @work(group="tail")
    async def _poll(self) -> None:
        # One at a time, and never cancelled half-way: lines that a thread has read must be shown.
        async with self._reading:
            await self._look()

    async def _look(self) -> None:
        names = sorted(await asyncio.to_thread(self.backend.log_files), key=_supervisor_first)
        files = self.query_one(LogFiles)
        files.empty = "none"
        if list(files.items) != list(names):
            files.show(names)
        view = self.query_one(LogView)
        view.empty = (
            "No logs yet. They show up here when a supervisor has run." if not names else "This log is empty."
        )
        self._choose()
        await self._read(view)

    async def _read(self, view: LogView) -> None:
        tail = self._tail
        if tail is None:
            return
        try:
            lines = await asyncio.to_thread(tail.read)
        except OSError as error:
            self._note(f"{printable(tail.path.name)} cannot be read: {error.strerror}")
            return
        if tail is self._tail:
            view.add(lines)
            self._note()

    @on(LineList.Moved, "#log-files")
    def _chosen(self) -> None:
        if self._choose():
            self._poll()

    def _choose(self) -> bool:
        """Follow the file under the cursor; True when that is another one than before."""
        path = self.query_one(LogFiles).current
        if path is None or (self._tail is not None and self._tail.path == path):
            return False
        self._tail = Tail(path)
        self.query_one(LogView).clear()
        return True

    def _note(self, trouble: str = "") -> None:
        view = self.query_one(LogView)
        state = "following" if view.following else "not following: f goes to the end"
        path = printable(str(self._tail.path)) if self._tail else ""
        lines = count(view.count, "line")
        self.query_one("#log-note", Static).update(trouble or f"{lines}  ·  {state}  ·  {path}")

    @on(LineList.Moved, "#lines")
    def _moved(self) -> None:
        self._note()

    @on(LineList.Opened, "#lines")
    def _open(self, event: LineList.Opened) -> None:
        line = self.query_one(LogView).lines[event.index]
        self.app.push_screen(Reading("Log line", Content(printable(line))))

    def action_next_log(self) -> None:
        files = self.query_one(LogFiles)
        if files.count:
            files.cursor = (files.cursor + 1) % files.count

    def action_follow(self) -> None:
        self.query_one(LogView).action_last()
        self.query_one(LogView).focus()


def _supervisor_first(log: Path) -> tuple[bool, str]:
    return log.stem != "supervisor", log.name
