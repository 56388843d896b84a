"""Which columns fit into a width, and how wide each is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.format import Tone

GAP = 2  # cells between columns
_ESSENTIAL = 9  # the highest rank
_SHRUNK = 12  # cells of a growing column when there is no room for more


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
    """Return the width of each column; 0 for one that does not fit.

    When only columns of the highest rank are left, those that grow shrink before one more goes.
    """
    kept = set(range(len(columns)))
    while len(kept) > 1 and _needed(columns, kept) > width:
        # Of equals, the one further right goes first.
        kept.discard(min(kept, key=lambda index: (columns[index].rank, -index)))
    spare = max(0, width - _needed(columns, kept))
    growing = [index for index in sorted(kept) if columns[index].grow]
    least = _least(columns, kept)
    widths = [least[index] if index in kept else 0 for index in range(len(columns))]
    for position, index in enumerate(growing):
        widths[index] += spare // len(growing) + (position < spare % len(growing))
    return widths


def _least(columns: Sequence[Column], kept: set[int]) -> list[int]:
    """What each column needs beside those that are kept."""
    shrink = all(columns[index].rank >= _ESSENTIAL for index in kept)
    return [min(column.width, _SHRUNK) if shrink and column.grow else column.width for column in columns]


def _needed(columns: Sequence[Column], kept: set[int]) -> int:
    least = _least(columns, kept)
    return sum(least[index] for index in kept) + GAP * (len(kept) - 1)
