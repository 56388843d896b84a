"""Counters of one plugin process, and the latency that it adds to commands."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from plugins.base.control import Stats

_LATEST = 512


@dataclass(slots=True)
class Counters:
    """Since the plugin started. Latencies are those of the latest commands, from request to spawn."""

    commands: int = 0
    blocked: int = 0
    running: int = 0
    waiting: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATEST))  # milliseconds

    def snapshot(self, spooled: int) -> Stats:
        ordered = sorted(self.latencies)
        return Stats(
            commands=self.commands,
            blocked=self.blocked,
            running=self.running,
            waiting=self.waiting,
            p50_ms=_percentile(ordered, 0.50),
            p95_ms=_percentile(ordered, 0.95),
            spooled=spooled,
        )


def _percentile(ordered: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; 0 when there is none."""
    if not ordered:
        return 0.0
    return round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 3)
