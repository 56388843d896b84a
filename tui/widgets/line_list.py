"""A list of one-line rows in columns, of any length: only the rows in view are ever drawn.

Built on Textual's line API. Rows are plain text with a tone; markup is never interpreted.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from plugins.base.text import printable
from tui.widgets.columns import GAP, Cell, Column, fit


@lru_cache(maxsize=64)
def _fitted(columns: tuple[Column, ...], width: int) -> tuple[int, ...]:
    return tuple(fit(columns, width))


class LineList(ScrollView, can_focus=True):
    """Subclasses say how many rows there are (`count`) and what is in each (`cells`)."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-list--header", "line-list--cursor", "line-list--resting", "line-list--muted",
        "line-list--strong", "line-list--good", "line-list--warn", "line-list--bad", "line-list--accent",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
        Binding("enter", "open", "Open", show=False),
    ]

    columns: tuple[Column, ...] = ()
    header = True
    resting = False  # whether the row under the cursor shows while the list has no focus

    count: reactive[int] = reactive(0, init=False)
    cursor: reactive[int] = reactive(0, init=False)
    empty: reactive[str] = reactive("", init=False)

    class Row(Message):
        """About one row of a list."""

        def __init__(self, sender: LineList, index: int) -> None:
            super().__init__()
            self.sender = sender
            self.index = index

        @property
        def control(self) -> LineList:
            return self.sender

    class Moved(Row):
        """The cursor went to another row."""

    class Opened(Row):
        """Enter, or a click on the row under the cursor."""

    def cells(self, index: int) -> Sequence[Cell] | None:
        """The row's cells, one for each column; None while it is being fetched."""
        raise NotImplementedError

    # ------------------------------------------------------------ state

    def on_mount(self) -> None:
        self._resize()

    def on_resize(self) -> None:
        self._resize()
        self.show_cursor()

    def _resize(self) -> None:
        self.virtual_size = Size(self.size.width, self.count + self._header_lines)

    @property
    def _header_lines(self) -> int:
        return int(self.header)

    def watch_count(self) -> None:
        self._resize()
        if self.cursor >= self.count:
            self.cursor = max(0, self.count - 1)
        self.refresh()

    def watch_empty(self) -> None:
        self.refresh()

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, self.count - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        self.show_cursor()
        self.refresh()
        self.post_message(self.Moved(self, new))

    @property
    def page(self) -> int:
        """Rows in view."""
        return max(1, self.scrollable_content_region.height - self._header_lines)

    @property
    def at_end(self) -> bool:
        return self.scroll_offset.y >= self.max_scroll_y

    def show_cursor(self) -> None:
        """Scroll, without animation, so that the row under the cursor is in view."""
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True, force=True)
        elif self.cursor >= top + self.page:
            self.scroll_to(y=self.cursor - self.page + 1, animate=False, immediate=True, force=True)

    # ------------------------------------------------------------ keys and mouse

    def action_move(self, rows: int) -> None:
        self.cursor += rows

    def action_page(self, pages: int) -> None:
        self.cursor += pages * self.page

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = self.count - 1

    def action_open(self) -> None:
        if self.count:
            self.post_message(self.Opened(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        index = event.y - self._header_lines + self.scroll_offset.y
        if event.y < self._header_lines or not 0 <= index < self.count:
            return
        if index == self.cursor and event.chain > 1:
            self.action_open()
        self.cursor = index

    # ------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        base = self.rich_style
        if self.header and y == 0:
            return self._header_strip(width)
        row = y - self._header_lines
        if not self.count:
            return self._empty_strip(row, width)
        index = row + self.scroll_offset.y
        if index >= self.count:
            return Strip.blank(width, base)
        cells = self.cells(index) or (Cell("…", "muted"),)
        if index != self.cursor or not (self.has_focus or self.resting):
            return self._strip(cells, width, base, None)
        return self._strip(cells, width, base, self._style("cursor" if self.has_focus else "resting"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"line-list--{name}")

    def _strip(self, cells: Sequence[Cell], width: int, base: Style, over: Style | None) -> Strip:
        segments: list[Segment] = []
        for cell, column, space in zip(cells, self.columns, _fitted(self.columns, width), strict=False):
            if not space:
                continue
            if segments:
                segments.append(Segment(" " * GAP, over or base))
            tone = base if cell.tone == "plain" else base + self._style(cell.tone)
            segments.append(Segment(_sized(cell.text, space, right=column.right), over or tone))
        return Strip(segments).adjust_cell_length(width, over or base)

    def _header_strip(self, width: int) -> Strip:
        style = self._style("header")
        titles = [Cell(column.title) for column in self.columns]
        return self._strip(titles, width, style, style)

    def _empty_strip(self, row: int, width: int) -> Strip:
        lines = textwrap.wrap(self.empty, max(10, width))
        text = lines[row] if row < len(lines) else ""
        style = self.rich_style + self._style("muted")
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)


def _sized(text: str, width: int, *, right: bool) -> str:
    """The text in exactly `width` cells, with an ellipsis where it was cut."""
    # A row is one screen line: measuring megabytes of a hostile argument would be wasted.
    text = printable(text[: width * 4 + 1])
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if right else text + " " * (width - length)
