"""Lines of a log, bounded; follows at the end, stays put elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from plugins.base.text import printable
from tui.format import Tone
from tui.widgets.columns import Cell, Column
from tui.widgets.line_list import LineList

_KEPT = 20_000  # lines


class LogView(LineList):
    columns = (Column("", 10, grow=True),)
    header = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[str] = []

    def clear(self) -> None:
        self.lines = []
        self.count = 0
        self.refresh()

    @property
    def following(self) -> bool:
        return self.cursor >= self.count - 1 and self.at_end

    def add(self, new: Sequence[str]) -> None:
        """Append lines; the oldest go when there are too many."""
        if not new:
            return
        following = self.following
        self.lines += new
        dropped = max(0, len(self.lines) - _KEPT)
        del self.lines[:dropped]
        self.count = len(self.lines)
        if following:
            self.action_last()
        elif dropped:
            self.cursor -= dropped
        self.refresh()

    def cells(self, index: int) -> Sequence[Cell] | None:
        line = self.lines[index]
        return (Cell(printable(line.expandtabs(4)), _tone(line)),)


def _tone(line: str) -> Tone:
    start = line[:80]
    if "ERROR" in start or "CRITICAL" in start:
        return "bad"
    return "warn" if "WARNING" in start else "plain"
