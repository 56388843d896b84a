"""What a scenario tells: a line of the table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what, measured, the budget, and whether it is met (None: no budget)."""

    what: str
    measured: str
    budget: str
    met: bool | None
