"""Reading /proc (proc(5)): what tells one process from another with the same number, and what it uses.

Every function returns None (or nothing) for a process that is gone, and raises nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Stat:
    """Some fields of /proc/PID/stat."""

    state: str  # "Z": ended, not yet waited for
    start: int  # clock ticks after boot
    cpu: float  # seconds: its own and those of its children that ended
    memory: int  # resident bytes


def stat(pid: int) -> Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_bytes()
        # The name of the program, in parentheses, may hold anything; fields are counted from behind it.
        fields = text[text.rindex(b")") + 2 :].split()
        cpu = sum(map(int, fields[11:15])) / _TICKS
        return Stat(fields[0].decode("ascii"), int(fields[19]), cpu, int(fields[21]) * _PAGE)
    except (OSError, ValueError, IndexError):
        return None


def boot_id() -> str:
    """Names this boot of the machine; "" when it has no name."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def started(start_ticks: int) -> float | None:
    """Seconds since the epoch at which a process with this start time was started."""
    try:
        lines = (_PROC / "stat").read_text(encoding="ascii").splitlines()
        boot = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    except (OSError, ValueError, StopIteration):
        return None
    return boot + start_ticks / _TICKS


def children(pid: int) -> list[int]:
    """The direct children of all threads of the process."""
    found: list[int] = []
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            found += map(int, (task / "children").read_bytes().split())
    except (OSError, ValueError):
        return found
    return found


def tree(pid: int, most: int = 1000) -> list[int]:
    """The process and everything below it, at most `most` processes."""
    found = [pid]
    for member in found:
        if len(found) >= most:
            break
        found += children(member)
    return found[:most]
