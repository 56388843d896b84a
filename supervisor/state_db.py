"""What the supervisor remembers besides the audit log: pins, lockdown, requests and grants.

A small SQLite file, written by the supervisor alone. Transactions are serialised over all threads of
the process by a lock, and over processes by SQLite.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plugins.base.errors import ClaudeContainerError
from supervisor.sqlite_file import Kind, open_for_writing, transaction, translated


class StateError(ClaudeContainerError):
    """The supervisor's state cannot be read or written; what was asked for did not happen."""


_SCHEMA = """
CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE request (
    id TEXT PRIMARY KEY,
    plugin TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    mode TEXT NOT NULL,
    grant_minutes REAL NOT NULL,
    grant_until REAL,
    grant_uses INTEGER NOT NULL,
    answered REAL,
    answer_reason TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX request_open ON request (plugin, fingerprint) WHERE state = 'open';
CREATE INDEX request_granted ON request (plugin, fingerprint) WHERE state = 'granted';
CREATE INDEX request_last ON request (last)
"""

_STATE = Kind("state file", 0x43435354, 1, _SCHEMA, StateError)


class StateDb:
    """The state file at `path`. Every method raises `StateError` when it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def open(self) -> StateDb:
        """Open the file, making it (0600) when it is missing."""
        with self._lock:
            if self._connection is None:
                self._connection = open_for_writing(self._path, _STATE)
                self._connection.row_factory = sqlite3.Row
        return self

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: committed when the block ends, rolled back when it raises."""
        with self._lock, translated(self._path, _STATE), transaction(self._opened()) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for reading; fetch everything before the block ends."""
        with self._lock, translated(self._path, _STATE):
            yield self._opened()

    def get(self, key: str) -> str | None:
        """The setting's value; None when it is not set."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else None

    def set(self, key: str, value: str | None) -> None:
        """Set the setting; None removes it."""
        with self.transaction() as connection:
            if value is None:
                connection.execute("DELETE FROM setting WHERE key = ?", (key,))
            else:
                connection.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", (key, value))

    def set_default(self, key: str, value: str) -> str:
        """Set the setting unless it is set; returns what holds now. The first one wins: this is a pin."""
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO setting (key, value) VALUES (?, ?)", (key, value))
            row = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
        return str(row["value"])

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StateError("The supervisor's state is closed.", hint="Run: claude-container start")
        return self._connection
