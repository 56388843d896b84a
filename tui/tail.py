"""Following a log file that others write, rotate and truncate. Bounded: never reads more than its window."""

from __future__ import annotations

import os
from pathlib import Path

_WINDOW = 1 << 20  # bytes of the file's end that are read at first, and at most at once
_LONGEST = 4_000  # characters of a line that are kept


class Tail:
    """Call `read` again and again; each call returns the lines that are new since the last one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode = 0
        self._offset = 0
        self._rest = b""

    def read(self) -> list[str]:
        """New whole lines. Raises `OSError` when the file cannot be read."""
        with self.path.open("rb") as file:
            found = os.fstat(file.fileno())
            cut = self._place(found.st_ino, found.st_size)
            file.seek(self._offset)
            data = file.read(_WINDOW)
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_WINDOW:]
        if cut and whole:
            del whole[0]  # it began before the window
        return [line.decode("utf-8", "surrogateescape")[:_LONGEST] for line in whole]

    def _place(self, inode: int, size: int) -> bool:
        """Set the offset to read from; True when bytes before it were skipped."""
        if inode != self._inode or size < self._offset:
            self._inode, self._offset, self._rest = inode, 0, b""
        if size - self._offset <= _WINDOW:
            return False
        self._offset, self._rest = size - _WINDOW, b""
        return True
