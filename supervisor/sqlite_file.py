"""Opening the supervisor's SQLite files: private to their owner, in WAL mode, of a known version.

It never deletes or replaces a file: one that is damaged, foreign or newer is refused with one clear
sentence, and stays as it is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from plugins.base.errors import ClaudeContainerError

_BUSY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file must be: its name for people, its marks in the header, its tables, its family of errors."""

    name: str
    application_id: int  # https://sqlite.org/pragma.html#pragma_application_id
    version: int  # user_version
    schema: str
    error: type[ClaudeContainerError]


def open_for_writing(path: Path, kind: Kind) -> sqlite3.Connection:
    """Open the file, making it (0600) when it is missing. Raises `kind.error`.

    The connection is in autocommit mode and may be passed between threads; its user serialises them.
    """
    with translated(path, kind):
        _make_private(path, kind)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path, kind)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: Path, kind: Kind) -> sqlite3.Connection:
    """Open the file read-only. Raises `kind.error`, also when there is none."""
    if not path.exists():
        raise kind.error(f"There is no {kind.name} at {path} yet.", hint="Run: claude-container start")
    with translated(path, kind):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        try:
            _check_filled(connection, path, kind)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: everything inside is committed, or nothing is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk may have rolled back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def translated(path: Path, kind: Kind) -> Iterator[None]:
    """Turn what SQLite and the file system raise into `kind.error`."""
    try:
        yield
    except sqlite3.Error as error:
        message, hint = _explain(error, path, kind)
        raise kind.error(message, hint=hint) from error
    except OSError as error:
        raise kind.error(
            f"The {kind.name} {path} cannot be opened: {error.strerror}.",
            hint=f"Make {path.parent} writable for you, or choose another home with --home.",
        ) from error


def _make_private(path: Path, kind: Kind) -> None:
    """Make the file, or narrow its mode. SQLite gives its -wal and -shm files the same mode.

    An existing file is not opened here: closing it would drop the locks of other connections in this
    process (https://sqlite.org/howtocorrupt.html, section 2.2).
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise kind.error(
            f"The {kind.name} {path} is not a regular file.", hint="Move it away; a new one is made."
        )
    if path.exists():
        path.chmod(0o600)
        return
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _prepare(connection: sqlite3.Connection, path: Path, kind: Kind) -> None:
    new = _is_new(connection, path, kind)  # first: a foreign file is not touched
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise kind.error(
            f"The {kind.name} {path} cannot be shared between processes on this file system.",
            hint="Choose a home on a local disk with --home or CLAUDE_HOME.",
        )
    connection.execute("PRAGMA synchronous = NORMAL")
    if new:
        with transaction(connection):
            if _is_new(connection, path, kind):  # nobody else was faster
                _create(connection, kind)


def _check_filled(connection: sqlite3.Connection, path: Path, kind: Kind) -> None:
    if _is_new(connection, path, kind):
        raise kind.error(f"The {kind.name} {path} is empty.", hint="Run: claude-container start")


def _create(connection: sqlite3.Connection, kind: Kind) -> None:
    for statement in filter(str.strip, kind.schema.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {kind.application_id}")
    connection.execute(f"PRAGMA user_version = {kind.version}")


def _is_new(connection: sqlite3.Connection, path: Path, kind: Kind) -> bool:
    """Whether the file has no content yet. Raises `kind.error` when its content is not ours to use."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application_id, version) == (kind.application_id, kind.version):
        return False
    if application_id == kind.application_id:
        raise kind.error(
            f"The {kind.name} {path} has format {version}; this program knows format {kind.version}.",
            hint="Use the version of claude-container that wrote it, or a newer one.",
        )
    if application_id or version or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise kind.error(
            f"{path} is a database of another program, not the {kind.name}.",
            hint="Move it away; a new one is made.",
        )
    return True


def _explain(error: sqlite3.Error, path: Path, kind: Kind) -> tuple[str, str]:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_FULL:
            return f"The disk is full: the {kind.name} {path} cannot grow.", "Free some space."
        case sqlite3.SQLITE_IOERR:
            return (
                f"The {kind.name} {path} cannot be read or written: {error}.",
                "Check the disk, its free space and its quota.",
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"The {kind.name} {path} is locked by another program.", "End that program."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return (
                f"The {kind.name} {path} cannot be opened: {error}.",
                f"Make it and {path.parent} readable and writable for you.",
            )
        case _:
            return (
                f"The {kind.name} {path} is damaged: {error}.",
                f"Keep it for examination and start a new one: move {path.name}, {path.name}-wal and "
                f"{path.name}-shm to another directory, then run: claude-container start",
            )
