"""The audit log as a list of any length: pages are asked for when they come into view, and forgotten again.

The widget keeps at most a few pages. It posts `PagesWanted`; whoever has the rows calls `put`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message
from textual.reactive import reactive

from plugins.base.text import printable
from tui import format as told
from tui.widgets.columns import Cell, Column
from tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from supervisor.audit.reader import AuditRow

PAGE = 100  # rows
_KEPT = 20  # pages


class AuditList(LineList):
    """Row 0 is the oldest match. At the end it follows what comes in; elsewhere it counts it (`unseen`)."""

    columns = (
        Column("row", 7, 4, right=True),
        Column("date", 10, 2),
        Column("time", 8, 8),
        Column("verdict", 10, 9),
        Column("layer", 10, 3),
        Column("command", 30, 9, grow=True),
        Column("rule", 18, 6),
        Column("exit", 4, 5, right=True),
        Column("took", 7, 4, right=True),
    )

    unseen: reactive[int] = reactive(0, init=False)

    class PagesWanted(Message):
        """Rows came into view that are not there yet. Later wishes replace earlier ones."""

        def __init__(self, pages: tuple[int, ...]) -> None:
            super().__init__()
            self.pages = pages

    class Unseen(Message):
        """`unseen` changed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pages: OrderedDict[int, Sequence[AuditRow]] = OrderedDict()
        self._missing: set[int] = set()

    @property
    def pages_held(self) -> int:
        return len(self._pages)

    def reset(self, count: int) -> None:
        """Start over with another list of `count` rows, at its end."""
        self._pages.clear()
        self.count = count
        self.unseen = 0
        self.action_last()
        self.refresh()

    def grow(self, count: int) -> None:
        """The list is `count` rows long by now."""
        added = count - self.count
        if added <= 0:
            return
        following = self.cursor >= self.count - 1 and self.at_end
        self._pages.pop(self.count // PAGE, None)  # the last page was not full
        self.count = count
        if following:
            self.action_last()
        else:
            self.unseen += added

    def put(self, page: int, rows: Sequence[AuditRow]) -> None:
        """Take the rows of one page."""
        self._pages[page] = rows
        while len(self._pages) > _KEPT:
            self._pages.popitem(last=False)
        self.refresh()

    def row(self, index: int) -> AuditRow | None:
        """The row, if its page is here; otherwise its page is asked for."""
        number, offset = divmod(index, PAGE)
        page = self._pages.get(number)
        if page is None:
            self._want(number)
            return None
        self._pages.move_to_end(number)
        return page[offset] if offset < len(page) else None

    def _want(self, page: int) -> None:
        if not self._missing:
            self.call_later(self._ask)
        self._missing.add(page)

    def _ask(self) -> None:
        wanted, self._missing = tuple(sorted(self._missing)), set()
        self.post_message(self.PagesWanted(wanted))

    def cells(self, index: int) -> Sequence[Cell] | None:
        row = self.row(index)
        if row is None:
            return None
        event = row.event
        return (
            Cell(str(row.seq), "muted"),
            Cell(told.date(event.time), "muted"),
            Cell(told.clock(event.time), "muted"),
            Cell(*told.verdict(event)),
            Cell(event.layer, "muted"),
            Cell(told.event_text(event)),
            Cell(printable(event.rule), "muted"),
            Cell("" if row.exit_code is None else str(row.exit_code), "bad" if row.exit_code else "plain"),
            Cell("" if row.duration_ms is None else told.milliseconds(row.duration_ms)),
        )

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.at_end:
            self.unseen = 0

    def watch_unseen(self) -> None:
        self.post_message(self.Unseen())
