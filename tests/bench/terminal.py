"""A program in a pseudo-terminal, timed until it has painted."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAINTED = b"Dashboard"
_PATIENCE = 20.0  # seconds


@contextmanager
def first_paint(argv: list[str], *, columns: int = 120, rows: int = 40) -> Iterator[tuple[float, int]]:
    """Start the program; yields the seconds until its first screen stood, and its pid. Ends it after."""
    start = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(argv[0], argv)  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        _read_until(terminal, _PAINTED)
        yield time.perf_counter() - start, pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def _read_until(terminal: int, wanted: bytes) -> None:
    seen = b""
    deadline = time.perf_counter() + _PATIENCE
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.perf_counter()))
        if not ready:
            raise RuntimeError(f"the program painted nothing within {_PATIENCE:.0f} s: {seen[-500:]!r}")
        seen += os.read(terminal, 65536)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), stat fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Resident set size of a process (proc(5), statm field 2)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
