"""One supervisor per home: a lock that the kernel gives back, however its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plugins.base.errors import ClaudeContainerError


class AlreadyRunning(ClaudeContainerError):
    """Another supervisor has this home; `pid` is its process number, None when it cannot be told."""

    def __init__(self, path: Path, pid: int | None) -> None:
        who = f"pid {pid}" if pid else "of another process"
        super().__init__(
            f"A supervisor ({who}) runs on {path.parent.parent} already.",
            hint="Use it (claude-container status), or end it first: claude-container stop",
        )
        self.pid = pid


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock. Raises `AlreadyRunning`, and `ClaudeContainerError` when the file cannot be made."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ClaudeContainerError(
            f"Cannot make {path}: {error.strerror}.", hint="Make the home writable for you."
        ) from error
    try:
        _take(descriptor, path)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """The process number of the supervisor that holds the lock; None when nobody does. 0: not known."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(descriptor) or 0
    else:
        return None
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning(path, _pid(descriptor)) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
