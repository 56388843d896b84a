"""Which columns fit into a width, and how wide each is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.format import Tone

GAP = 2  # cells between columns


@dataclass(frozen=True, slots=True)
class Column:
    """One column: at least `width` cells; columns with the lowest `rank` go first when space is short."""

    title: str
    width: int
    rank: int = 9
    grow: bool = False
    right: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """Printable text on one line, and its tone."""

    text: str
    tone: Tone = "plain"


def fit(columns: Sequence[Column], width: int) -> list[int]:
    """Return the width of each column; 0 for one that does not fit."""
    kept = set(range(len(columns)))
    while len(kept) > 1 and _needed(columns, kept) > width:
        # Of equals, the one further right goes first.
        kept.discard(min(kept, key=lambda index: (columns[index].rank, -index)))
    spare = max(0, width - _needed(columns, kept))
    growing = [index for index in sorted(kept) if columns[index].grow]
    widths = [columns[index].width if index in kept else 0 for index in range(len(columns))]
    for position, index in enumerate(growing):
        widths[index] += spare // len(growing) + (position < spare % len(growing))
    return widths


def _needed(columns: Sequence[Column], kept: set[int]) -> int:
    return sum(columns[index].width for index in kept) + GAP * (len(kept) - 1)
