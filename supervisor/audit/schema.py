"""How the audit log lies on disk, and how its rows are chained. Pure.

Two append-only tables, `event` and `outcome`, each with a chain of its own: a row's hash covers the hash
before it, its number and its `body`, the JSON it was received as. The other columns repeat parts of the
body, for filters; `supervisor.audit.chain` checks that they still agree with it. `head` has the length and
the last hash of each chain, so that cutting off the end shows too.

Numbers (`seq`) start at 1 and have no gaps.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Literal

from plugins.base.control import AuditEvent, Outcome
from plugins.base.errors import ClaudeContainerError
from supervisor.sqlite_file import Kind


class AuditError(ClaudeContainerError):
    """The audit log cannot be read or written; what was to be written can be sent again."""


ChainName = Literal["event", "outcome"]
CHAINS: tuple[ChainName, ...] = ("event", "outcome")

_SEARCHABLE = 4096  # characters of a row that text search looks at

_SCHEMA = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    time REAL NOT NULL,
    plugin TEXT NOT NULL,
    verdict TEXT NOT NULL,
    command TEXT NOT NULL,
    search TEXT NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX event_verdict ON event (verdict);
CREATE TABLE outcome (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    command TEXT NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX outcome_command ON outcome (command);
CREATE TABLE head (
    chain TEXT PRIMARY KEY,
    rows INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT
"""

AUDIT = Kind("audit log", 0x43434C41, 1, _SCHEMA, AuditError)


def genesis(chain: ChainName) -> bytes:
    """The hash before the first row."""
    return hashlib.sha256(f"claude-container audit {chain} 1".encode()).digest()


def link(previous: bytes, seq: int, body: str) -> bytes:
    """The hash of row `seq`: over the hash before it, its number and its content."""
    return hashlib.sha256(previous + seq.to_bytes(8, "big") + body.encode()).digest()


def read_head(connection: sqlite3.Connection, chain: ChainName) -> tuple[int, bytes]:
    """The length of the chain and its last hash, as recorded."""
    row = connection.execute("SELECT rows, hash FROM head WHERE chain = ?", (chain,)).fetchone()
    return (row[0], row[1]) if row else (0, genesis(chain))


def event_columns(event: AuditEvent) -> tuple[object, ...]:
    """What stands beside the body of an event: id, time, plugin, verdict, command, search."""
    return event.id, event.time, event.plugin, str(event.verdict), event.command, search_text(event)


def outcome_columns(outcome: Outcome) -> tuple[object, ...]:
    """What stands beside the body of an outcome: id, command."""
    return outcome.id, outcome.command


def search_text(event: AuditEvent) -> str:
    """What text search looks at, folded; the caller's own words come last: they push nothing out."""
    words = (
        event.rule, event.request, event.reason, event.remote, *(update.ref for update in event.updates),
        " ".join((event.plugin, *event.args)),
    )  # fmt: skip
    return "\n".join(filter(None, words))[:_SEARCHABLE].casefold()
