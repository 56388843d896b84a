"""A gateway's own process, and what its log says of errors that nobody thought of."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PATIENCE: Final = 20.0  # seconds for one answer


class Log:
    """What the process says on stderr."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def complaints(self) -> str:
        """What came since it was last read, from shortly before a traceback on; "" when there is none."""
        with self.path.open() as log:
            log.seek(self._read)
            text = log.read()
            self._read = log.tell()
        return text[max(0, text.index("Traceback") - 200) :] if "Traceback" in text else ""


def start(
    command: Sequence[str], log: Log, *ports: int, at: Path, more: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start it, and wait until it listens on all the ports. `more` is added to the environment."""
    with log.path.open("wb") as file:
        process = subprocess.Popen(command, env={**os.environ, **(more or {})}, stderr=file, cwd=at)
    deadline = time.monotonic() + PATIENCE
    while not all(map(_listens, ports)):
        assert process.poll() is None, log.path.read_text()
        assert time.monotonic() < deadline, log.path.read_text()
        time.sleep(0.02)
    return process


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
