"""CPU and memory of a plugin: of its processes from /proc, or as its container's engine counts them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from supervisor.runtimes import procfs

INTERVAL = 2.0  # seconds between samples, while somebody looks


@dataclass(frozen=True, slots=True)
class Usage:
    """A sample. `cpu_percent` covers the time since the sample before; None for the first one."""

    at: float  # monotonic seconds
    cpu_seconds: float
    memory_bytes: int
    cpu_percent: float | None = None


def sample(pid: int, before: Usage | None) -> Usage | None:
    """Add up the process and everything below it; None when it is gone."""
    stats = [found for member in procfs.tree(pid) if (found := procfs.stat(member)) is not None]
    if not stats:
        return None
    return usage(sum(stat.cpu for stat in stats), sum(stat.memory for stat in stats), before)


def usage(cpu_seconds: float, memory_bytes: int, before: Usage | None) -> Usage:
    """A sample of now; counted since the one before."""
    now, percent = time.monotonic(), None
    if before is not None and now > before.at:
        percent = round(max(0.0, cpu_seconds - before.cpu_seconds) / (now - before.at) * 100, 1)
    return Usage(now, cpu_seconds, memory_bytes, percent)
