"""Log files of plugins: opened for appending, kept from growing for ever, and read for last words."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from plugins.base.redact import redact
from plugins.base.text import printable
from supervisor.home import Home

MOST_BYTES: Final = 4 * 1024 * 1024
_LAST_WORDS: Final = 4096  # bytes at the end of a log


def open_log(path: Path) -> int:
    """Open a log for appending; one that has grown large is moved out of the way first."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > MOST_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def last_words(home: Home, plugin: str) -> str:
    """The last line of the plugin's log, safe to show; "" when there is none."""
    try:
        with (home.logs / f"{plugin}.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return redact(printable(lines[-1].strip()[:500])) if lines else ""
