"""The lists of the policy screen: files, problems, earlier versions."""

from __future__ import annotations

from collections.abc import Sequence

from plugins.base.text import printable
from tui.backend import Diagnostic, Version
from tui.format import Tone, moment
from tui.widgets.columns import Cell, Column
from tui.widgets.item_list import ItemList


class PolicyFiles(ItemList[str]):
    """The plugins that have a policy file; `marks` gives a symbol and tone for some of them."""

    resting = True
    columns = (Column("policy", 8, grow=True), Column("", 1))

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._marks: dict[str, tuple[str, Tone]] = {}

    def mark(self, marks: dict[str, tuple[str, Tone]]) -> None:
        if marks != self._marks:
            self._marks = marks
            self.refresh()

    def key(self, item: str) -> str:
        return item

    def row(self, item: str) -> Sequence[Cell]:
        return Cell(printable(item)), Cell(*self._marks.get(item, ("", "plain")))


class Diagnostics(ItemList[Diagnostic]):
    columns = (Column("", 8, right=True), Column("", 20, grow=True))
    header = False

    def key(self, item: Diagnostic) -> str:
        return f"{item.line}:{item.column}:{item.message}"

    def row(self, item: Diagnostic) -> Sequence[Cell]:
        return Cell(f"{item.line}:{item.column}", "bad"), Cell(printable(item.message))


class Versions(ItemList[Version]):
    columns = (Column("in force since", 19), Column("hash", 12), Column("by", 10, grow=True))

    def key(self, item: Version) -> str:
        return f"{item.hash} {item.time}"

    def row(self, item: Version) -> Sequence[Cell]:
        return Cell(moment(item.time)), Cell(item.hash[:12], "muted"), Cell(printable(item.who))
