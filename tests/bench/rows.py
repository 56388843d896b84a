"""What a scenario tells: a line of the table."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.harness import Pair


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what, measured, the budget, and whether it is met (None: no budget)."""

    what: str
    measured: str
    budget: str
    met: bool | None


def beside_direct(what: str, budget: float, pair: Pair) -> Row:
    """How fast it is through a gateway, as a part of the direct way's speed."""
    ratio = 1 / pair.ratio
    return Row(
        what, f"{ratio:.2f}x direct ({pair.native:.2f} s, {pair.ours:.2f} s)",
        f"at least {budget}x", ratio >= budget,
    )  # fmt: skip
