"""The audit log's one writer.

Batches are written by a thread of their own, each in one transaction: it is stored whole or not at
all, and sending it again changes nothing. Rows are only ever added. Text arrives redacted.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from plugins.base.control import AuditEvent, Outcome
from supervisor.audit.schema import (
    AUDIT,
    AuditError,
    ChainName,
    event_columns,
    link,
    outcome_columns,
    read_head,
)
from supervisor.sqlite_file import open_for_writing, transaction, translated

_INSERT_EVENT = """INSERT INTO event (seq, id, time, plugin, verdict, command, search, body, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_OUTCOME = "INSERT INTO outcome (seq, id, command, body, hash) VALUES (?, ?, ?, ?, ?)"
_CACHE_KIB = 32 * 1024  # ids are random: their index is written all over, and should stay in memory

_Record = TypeVar("_Record", bound=AuditEvent | Outcome)


@dataclass(frozen=True, slots=True)
class _Batch:
    events: Sequence[AuditEvent]
    outcomes: Sequence[Outcome]
    done: asyncio.Future[int]


class AuditStore:
    """Writes the audit log at `path`. Use `open` first; `append` from any event loop; `close` at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._gate = threading.Lock()  # nothing is queued behind the end

    def open(self) -> None:
        """Open or make the log and start the writer. Raises `AuditError`: damaged, newer, not writable."""
        connection = open_for_writing(self._path, AUDIT)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._thread = threading.Thread(
            target=self._write_all, args=(connection,), name="audit-writer", daemon=True
        )
        self._thread.start()

    async def append(self, events: Sequence[AuditEvent], outcomes: Sequence[Outcome]) -> int:
        """Store what is not stored yet and return the newest event's number.

        Raises `AuditError` when it cannot be written; then nothing of the batch was: send it again.
        """
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with self._gate:
            if self._thread is None:
                raise AuditError("The audit log is closed.", hint="Run: claude-container start")
            self._batches.put(_Batch(events, outcomes, done))
        return await done

    def close(self) -> None:
        """Write what was appended already, then close the file. Blocks until that is done."""
        with self._gate:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._batches.put(None)
        if thread is not None:
            thread.join()

    def _write_all(self, connection: sqlite3.Connection) -> None:
        """The writer thread."""
        while (batch := self._batches.get()) is not None:
            try:
                with translated(self._path, AUDIT):
                    newest = _write(connection, batch.events, batch.outcomes)
            except Exception as error:
                _settle(batch.done, error)
            else:
                _settle(batch.done, newest)
        connection.close()


def _settle(done: asyncio.Future[int], result: int | Exception) -> None:
    """Answer the sender in its own loop, unless the sender or the loop is gone."""

    def settle() -> None:
        if done.done():
            return
        if isinstance(result, Exception):
            done.set_exception(result)
        else:
            done.set_result(result)

    with suppress(RuntimeError):  # the loop is closed
        done.get_loop().call_soon_threadsafe(settle)


def _write(connection: sqlite3.Connection, events: Sequence[AuditEvent], outcomes: Sequence[Outcome]) -> int:
    """Add what is new, in one transaction; returns the number of the newest event."""
    with transaction(connection):
        newest = _add(connection, "event", _INSERT_EVENT, events, event_columns)
        _add(connection, "outcome", _INSERT_OUTCOME, outcomes, outcome_columns)
    return newest


def _add(
    connection: sqlite3.Connection,
    chain: ChainName,
    insert: str,
    records: Sequence[_Record],
    columns: Callable[[_Record], tuple[object, ...]],
) -> int:
    """Add the records that the chain does not have yet; returns its length."""
    seq, last = read_head(connection, chain)
    rows = []
    for record in _unknown(connection, chain, records):
        body = record.model_dump_json()
        seq, last = seq + 1, link(last, seq + 1, body)
        rows.append((seq, *columns(record), body, last))
    if rows:
        connection.executemany(insert, rows)
        connection.execute(
            "INSERT OR REPLACE INTO head (chain, rows, hash) VALUES (?, ?, ?)", (chain, seq, last)
        )
    return seq


def _unknown(connection: sqlite3.Connection, chain: ChainName, records: Sequence[_Record]) -> list[_Record]:
    """The records whose id is not stored yet, each once, in their order."""
    by_id: dict[str, _Record] = {}
    for record in records:
        by_id.setdefault(record.id, record)
    known = connection.execute(
        f"SELECT id FROM {chain} WHERE id IN (SELECT value FROM json_each(?))",  # noqa: S608 - our own name
        (json.dumps([*by_id]),),
    )
    for (found,) in known.fetchall():
        del by_id[found]
    return [*by_id.values()]
