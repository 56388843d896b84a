"""3 Audit: every decision, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import on, work
from textual.widget import Widget
from textual.widgets import Input, Static

from plugins.base.errors import ClaudeContainerError
from supervisor.audit.reader import AuditFilter, AuditRow
from tui.again import Again
from tui.backend import Desk, Matches
from tui.commands import AUDIT, bindings
from tui.outcomes import PASSED, REFUSED
from tui.prose import row_text
from tui.screens.base import DeskScreen
from tui.screens.dialogs import AskLine, Reading
from tui.widgets.audit_list import PAGE, AuditList
from tui.widgets.line_list import LineList

T = TypeVar("T")
_TYPING = 0.25  # seconds without a key before a search starts
_SHOWN = {"": (), "refused": REFUSED, "allowed": PASSED}


class Audit(DeskScreen):
    MODE = "audit"
    COMMANDS_HERE = AUDIT
    CSS_PATH = "../styles/audit.tcss"
    BINDINGS: ClassVar = bindings(AUDIT)
    AUTO_FOCUS = "#rows"

    def body(self) -> Iterable[Widget]:
        yield Input(
            placeholder="Search command, ref, rule, reason … (Enter: to the rows, Esc: all rows)", id="search"
        )
        rows = AuditList(id="rows")
        rows.empty = "Loading …"
        yield rows
        yield Static("", id="audit-note", markup=False)

    def on_mount(self) -> None:
        self._wanted = AuditFilter()
        self._matches: Matches = self.backend.matches(self._wanted)
        self._newest = -1
        self._trouble = ""
        self._pages: tuple[int, ...] = ()  # those that came into view last
        self._grow = Again(self, self._count_new)
        self._fetch = Again(self, self._fetch_pages)
        self.query_one("#search").display = False
        self._look()

    def show(self, desk: Desk) -> None:
        if desk.newest != self._newest:
            self._newest = desk.newest
            self._grow()

    @property
    def rows(self) -> AuditList:
        return self.query_one(AuditList)

    # ------------------------------------------------------------ fetching, in threads

    @work(exclusive=True, group="look")
    async def _look(self, *, after: float = 0.0) -> None:
        """Show the rows of the filter from its end. A later look replaces one that still runs."""
        await asyncio.sleep(after)
        wanted = self._wanted
        self._note("looking …")
        matches = self.backend.matches(wanted)
        if (count := await self._asked(matches.count)) is None:
            self._note()
            return
        self._matches = matches
        self.rows.empty = (
            "No row matches. Esc shows all rows."
            if wanted != AuditFilter()
            else "No decisions yet. They show up here as soon as the agent uses a wrapper."
        )
        self.rows.reset(count)
        self._note()

    async def _count_new(self) -> None:
        matches = self.backend.matches(self._wanted) if not self.rows.count else self._matches
        count = await self._asked(matches.count)
        if count is None:
            return
        if self.rows.count:
            self.rows.grow(count)
        elif count:
            self._matches = matches
            self.rows.reset(count)
        self._note()

    @on(AuditList.PagesWanted)
    def _wanted_pages(self, event: AuditList.PagesWanted) -> None:
        self._pages = event.pages
        self._fetch()

    async def _fetch_pages(self) -> None:
        matches = self._matches
        while self._pages:
            page, *others = self._pages
            self._pages = tuple(others)
            rows = await self._asked(partial(_rows, matches, page))
            if rows is None or matches is not self._matches:
                return  # the question has changed: the answer would be to another list
            self.rows.put(page, rows)

    async def _asked(self, question: Callable[[], T]) -> T | None:
        """The answer from a thread; None, and the trouble said once, when there is none."""
        try:
            answer = await asyncio.to_thread(question)
        except ClaudeContainerError as error:
            if error.message != self._trouble:
                self._trouble = error.message
                self.complain(error)
            self.rows.empty = f"The audit log cannot be read. {error.message} {error.hint}"
            return None
        self._trouble = ""
        return answer

    # ------------------------------------------------------------ filter

    def action_search(self) -> None:
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    @on(Input.Changed, "#search")
    def _typed(self, event: Input.Changed) -> None:
        self._wanted = replace(self._wanted, text=event.value.strip())
        self._look(after=_TYPING)

    @on(Input.Submitted, "#search")
    def _to_rows(self) -> None:
        self.rows.focus()

    def action_show_verdicts(self, which: str) -> None:
        self._wanted = replace(self._wanted, verdicts=_SHOWN[which])
        self._look()

    def action_clear(self) -> None:
        search = self.query_one("#search", Input)
        search.display = False
        with self.prevent(Input.Changed):
            search.value = ""
        self.rows.focus()
        if self._wanted != AuditFilter():
            self._wanted = AuditFilter()
            self._look()

    # ------------------------------------------------------------ telling

    @on(AuditList.Unseen)
    def _tell_unseen(self) -> None:
        self._note()

    def _note(self, doing: str = "") -> None:
        rows, wanted = self.rows, self._wanted
        shown = next(name for name, verdicts in _SHOWN.items() if verdicts == wanted.verdicts)
        parts = [
            f"▼ {rows.unseen:,} new" if rows.unseen else "",
            f"{rows.count:,} rows"
            if wanted == AuditFilter()
            else f"{rows.count:,} of {max(self._newest, 0):,} rows",
            f"only {shown}" if shown else "",
            f"search: {wanted.text}" if wanted.text else "",
            doing,
        ]
        self.query_one("#audit-note", Static).update("  ·  ".join(part for part in parts if part))

    @on(LineList.Opened, "#rows")
    def _open(self, event: LineList.Opened) -> None:
        if row := self.rows.row(event.index):
            self.app.push_screen(Reading(f"Audit row {row.seq}", row_text(row)))

    def _write(self, target: Path) -> int:
        return self.backend.export(self._wanted, target.expanduser().absolute())

    @work(exclusive=True, group="flow")
    async def action_export(self) -> None:
        answer = await self.app.push_screen_wait(
            AskLine(
                "Export",
                f"{self.rows.count:,} rows, to a new file. The name's end decides: .jsonl or .csv",
                act="write",
                value="audit.jsonl",
            )
        )
        if not answer:
            return
        target = Path(answer)
        try:
            count = await asyncio.to_thread(self._write, target)
        except ClaudeContainerError as error:
            self.complain(error)
        else:
            self.notify(f"Wrote {count:,} rows to {target}.", markup=False)


def _rows(matches: Matches, page: int) -> Sequence[AuditRow]:
    return matches.rows(page * PAGE, PAGE)
