"""A program in a pseudo-terminal: timed until it has painted, driven by keys, measured while it rests."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PAINTED = "Dashboard"
_PATIENCE = 60.0  # seconds


class Running:
    """The program that runs. What it writes is read all the time: one that cannot write does not idle."""

    def __init__(self, pid: int, terminal: int) -> None:
        self.pid = pid
        self.seconds = 0.0  # until its first screen stood
        self._terminal = terminal
        self._seen = ""
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO: the program has ended
            while data := os.read(self._terminal, 65536):
                with self._news:
                    self._seen = (self._seen + data.decode("utf-8", "replace"))[-1_000_000:]
                    self._news.notify_all()

    def sees(self, text: str) -> None:
        with self._news:
            if not self._news.wait_for(lambda: text in self._seen, _PATIENCE):
                raise RuntimeError(
                    f"{text!r} was not painted within {_PATIENCE:.0f} s: {self._seen[-500:]!r}"
                )

    def press(self, keys: str, then: str) -> None:
        """Type, and wait for what must be painted then."""
        with self._news:
            self._seen = ""
        os.write(self._terminal, keys.encode())
        self.sees(then)

    def cpu_seconds(self) -> float:
        """User and system time so far (proc(5), stat fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Resident set size (proc(5), statm field 2)."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def painted(argv: list[str], *, columns: int = 120, rows: int = 40) -> Iterator[Running]:
    """Start the program and wait for its first screen. Ends it after."""
    start = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(argv[0], argv)  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        running = Running(pid, terminal)
        running.sees(_PAINTED)
        running.seconds = time.perf_counter() - start
        yield running
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
