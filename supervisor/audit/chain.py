"""Checking the audit log: whether any row was edited, removed, added or moved since it was written.

The whole log is read once, in order, in bounded memory. What cannot be seen from inside: somebody who
may write the file and makes the whole chain anew. The `head` of a verification, noted elsewhere,
shows that too: as long as row `rows` still has that hash, nothing before it was touched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from plugins.base.control import AuditEvent, Outcome
from supervisor.audit.schema import (
    AUDIT,
    AuditError,
    ChainName,
    event_columns,
    genesis,
    link,
    outcome_columns,
    read_head,
)
from supervisor.sqlite_file import open_for_reading, translated

_Columns = Callable[[str], tuple[object, ...]]  # what must stand beside a body


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `rows` counts the decisions that were checked and found as written."""

    ok: bool
    rows: int
    first_bad: int | None  # number of the first row that is not as it was written
    problem: str  # one sentence; "" when the chain holds
    head: str = ""  # hash of the last decision checked, hex


@dataclass(frozen=True, slots=True)
class _Checked:
    """How far one chain holds."""

    rows: int
    head: bytes
    problem: str = ""


def verify(path: Path) -> Verification:
    """Check the log at `path`; it may be in use. Raises `AuditError` when there is none to check."""
    with closing(open_for_reading(path, AUDIT)) as connection:
        try:
            with translated(path, AUDIT):
                connection.execute("BEGIN")  # rows and heads of one moment
                return _verification(_check_events(connection), _check_outcomes(connection))
        except AuditError as error:
            return Verification(False, 0, None, error.message)


def _verification(events: _Checked, outcomes: _Checked) -> Verification:
    head = events.head.hex()
    if events.problem:
        return Verification(False, events.rows, events.rows + 1, events.problem, head)
    if outcomes.problem:
        return Verification(False, events.rows, None, outcomes.problem, head)
    return Verification(True, events.rows, None, "", head)


def _check_events(connection: sqlite3.Connection) -> _Checked:
    columns = "id, time, plugin, verdict, command, search"
    return _check(connection, "event", columns, lambda b: event_columns(AuditEvent.model_validate_json(b)))


def _check_outcomes(connection: sqlite3.Connection) -> _Checked:
    return _check(
        connection, "outcome", "id, command", lambda b: outcome_columns(Outcome.model_validate_json(b))
    )


def _check(connection: sqlite3.Connection, chain: ChainName, columns: str, expected: _Columns) -> _Checked:
    """Walk one chain to its first bad row, then compare its end with what was recorded."""
    recorded, recorded_hash = read_head(connection, chain)
    rows, head = 0, genesis(chain)
    stored = connection.execute(
        f"SELECT seq, hash, body, {columns} FROM {chain} ORDER BY seq"  # noqa: S608 - our own names
    )
    for seq, hashed, body, *beside in stored:
        if seq != rows + 1 or seq > recorded:
            return _Checked(rows, head, _misplaced(chain, seq, rows + 1))
        if link(head, seq, body) != hashed:
            return _Checked(rows, head, f"{chain} {seq} was edited, or another one was put in its place.")
        if _expected(expected, body) != tuple(beside):
            return _Checked(rows, head, f"{chain} {seq} was edited: its columns contradict its content.")
        rows, head = seq, hashed
    if rows < recorded:
        return _Checked(rows, head, f"{_span(chain, rows + 1, recorded)} missing at the end.")
    if head != recorded_hash:
        return _Checked(max(rows - 1, 0), head, f"the record of the last {chain} was changed.")
    return _Checked(rows, head)


def _misplaced(chain: ChainName, seq: int, wanted: int) -> str:
    if seq > wanted:
        return f"{_span(chain, wanted, seq - 1)} missing."
    return f"{chain} {seq} was added, or the record of the last {chain} was changed."


def _span(chain: ChainName, first: int, last: int) -> str:
    return f"{chain} {first} is" if first == last else f"{chain}s {first} to {last} are"


def _expected(columns: _Columns, body: str) -> tuple[object, ...] | None:
    try:
        return columns(body)
    except ValidationError:
        return None
