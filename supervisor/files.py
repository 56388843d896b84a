"""Writing files so that readers see the old or the new content, never a part, and so that it lasts."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plugins.base.errors import ClaudeContainerError

_PATIENCE = 5.0  # seconds that one saver waits for another; each holds the lock for milliseconds


@contextmanager
def file_lock(path: Path, busy: str) -> Iterator[None]:
    """Hold an exclusive lock on `path` (made when missing). `busy` begins the error when it stays taken."""
    with _world(path, "lock"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, f"{busy}.")
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, busy: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ClaudeContainerError(busy, hint="Try again in a moment.") from None
            time.sleep(0.005)
        else:
            return


def replace_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Put `data` in place of the file, at once and durably. Its mode stays, unless given (new: 0644).

    A symbolic link stays a link: the file that it leads to is replaced. Raises `ClaudeContainerError`.
    """
    with _world(path, "write"):
        target = path.resolve()
        wanted = _mode_of(target) if mode is None else mode
        descriptor, scratch = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), wanted)
                os.fsync(file.fileno())
            Path(scratch).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(scratch).unlink()
            raise
        _sync_directory(target.parent)


def make_private(directory: Path) -> None:
    """Make a directory, and those above it that are missing, for nobody else to look into."""
    with _world(directory, "make"):
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)


def append_line(path: Path, line: str, *, mode: int) -> None:
    """Add a line durably, in one write; a line that a crash cut off is ended first."""
    with _world(path, "write"):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "ab") as file:
            size = os.fstat(descriptor).st_size
            cut_off = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            file.write(b"\n" * cut_off + line.encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
        _sync_directory(path.parent)


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o644


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _world(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ClaudeContainerError(
            f"Cannot {verb} {path}: {error.strerror}.",
            hint="Make it writable for you, and see that the disk is not full.",
        ) from error
