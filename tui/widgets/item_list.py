"""A `LineList` over items held in memory.

Once the operator has been in the list, the cursor stays on its item when the items change; before,
it is on the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from tui.widgets.columns import Cell
from tui.widgets.line_list import LineList

Item = TypeVar("Item")


class ItemList(LineList, Generic[Item]):
    """Subclasses give `row` (the cells of an item) and `key` (what makes it the same item again)."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.items: Sequence[Item] = ()
        self._visited = False

    def on_focus(self) -> None:
        self._visited = True

    def row(self, item: Item) -> Sequence[Cell]:
        raise NotImplementedError

    def key(self, item: Item) -> str:
        raise NotImplementedError

    def cells(self, index: int) -> Sequence[Cell] | None:
        return self.row(self.items[index])

    @property
    def current(self) -> Item | None:
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    def show(self, items: Sequence[Item]) -> None:
        """Replace the items."""
        before = self.current
        old_key = self.key(before) if before is not None else None
        self.items = items
        keys = [self.key(item) for item in items]
        self.count = len(items)
        if self._visited and old_key in keys:
            self.cursor = keys.index(old_key)
        now = self.current
        if (self.key(now) if now is not None else None) != old_key:
            self.post_message(self.Moved(self, self.cursor))
        self.refresh()
