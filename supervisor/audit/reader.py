"""Reading the audit log: any page of any size of log, at once, while it is being written.

Read-only; safe from any thread and any process. It never holds a long transaction, except while it
first looks through the whole log for a filter.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from plugins.base.control import AuditEvent, Outcome
from plugins.base.model import Verdict
from supervisor.audit.schema import AUDIT
from supervisor.sqlite_file import open_for_reading, translated

_REMEMBERED = 4  # filters whose matches are kept: 8 bytes a row each

_ROW = """SELECT seq, time, body, CASE command WHEN '' THEN NULL ELSE
    (SELECT body FROM outcome WHERE outcome.command = event.command ORDER BY outcome.seq LIMIT 1) END
    FROM event """


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One decision, and how its command ended, if it ran and has ended."""

    seq: int
    event: AuditEvent
    exit_code: int | None
    duration_ms: float | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows: all conditions that are set must hold. Times are seconds since the epoch, both inclusive.

    `text` is looked for anywhere in command line, refs, remote, rule, reason and request, whatever its case.
    """

    plugin: str = ""
    verdicts: tuple[str, ...] = ()
    text: str = ""
    since: float | None = None
    until: float | None = None


_ALL = AuditFilter()


class AuditReader:
    """Reads the log at `path`. Every method raises `AuditError` when it cannot be read.

    Rows are counted from 0, the oldest that matches. What the filters matched is remembered and only
    looked at again where the log has grown.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._matches: OrderedDict[AuditFilter, tuple[int, array[int]]] = OrderedDict()

    def newest(self) -> int:
        """The number of the newest row; 0: the log is empty."""
        (newest,) = self._query("SELECT max(seq) FROM event")[0]
        return int(newest or 0)

    def count(self, chosen: AuditFilter) -> int:
        """How many rows match."""
        return self.newest() if chosen == _ALL else len(self.index(chosen))

    def row(self, seq: int) -> AuditRow | None:
        """The row with this number."""
        rows = self._rows("WHERE seq = ?", (seq,)) if 0 < seq < 1 << 63 else []
        return rows[0] if rows else None

    def rows(self, chosen: AuditFilter, first: int, limit: int) -> list[AuditRow]:
        """Up to `limit` matching rows from index `first` on, oldest first."""
        first, limit = max(first, 0), max(limit, 0)
        if chosen == _ALL:  # numbers have no gaps: row `first` is number `first + 1`
            return self._rows("WHERE seq > ? AND seq <= ? ORDER BY seq", (first, first + limit))
        return self.numbered(self.index(chosen)[first : first + limit])

    def latest(self, chosen: AuditFilter, limit: int) -> list[AuditRow]:
        """The newest `limit` matching rows, newest first."""
        found: list[int] = []
        each: list[tuple[str, ...]] = [(verdict,) for verdict in dict.fromkeys(chosen.verdicts)]
        for verdicts in each or [()]:  # for each verdict, one walk down its index
            where, parameters = _conditions(chosen, verdicts)
            found += self._seqs(
                f"SELECT seq FROM event {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - our own terms
                (*parameters, max(limit, 0)),
            )
        return self.numbered(heapq.nlargest(max(limit, 0), found))[::-1]

    def index(self, chosen: AuditFilter) -> array[int]:
        """The numbers of all matching rows, oldest first. Not to be changed: it is shared."""
        newest = self.newest()
        if chosen == _ALL:
            return array("q", range(1, newest + 1))
        with self._lock:
            seen, matches = self._matches.get(chosen, (0, array("q")))
        if newest > seen:
            matches = matches + self._matching(chosen, seen, newest)
            self._remember(chosen, newest, matches)
        return matches

    def numbered(self, seqs: Iterable[int]) -> list[AuditRow]:
        """The rows with these numbers, oldest first; numbers that do not exist are left out."""
        where = "WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
        return self._rows(where, (json.dumps([*seqs]),))

    def close(self) -> None:
        """Close the connections of all threads; none may be reading."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()
        self._local = threading.local()

    def _matching(self, chosen: AuditFilter, after: int, upto: int) -> array[int]:
        where, parameters = _conditions(chosen, chosen.verdicts, "seq > ?", "seq <= ?")
        one_walk = len(chosen.verdicts) < 2  # then SQLite finds them in order, and nothing is to be sorted
        order = "ORDER BY seq" if one_walk else ""
        sql = f"SELECT seq FROM event {where} {order}"  # noqa: S608 - our own terms
        found = self._seqs(sql, (after, upto, *parameters))
        return found if one_walk else array("q", sorted(found))

    def _remember(self, chosen: AuditFilter, upto: int, matches: array[int]) -> None:
        with self._lock:
            self._matches[chosen] = (upto, matches)
            self._matches.move_to_end(chosen)
            if len(self._matches) > _REMEMBERED:
                self._matches.popitem(last=False)

    def _rows(self, where: str, parameters: tuple[object, ...]) -> list[AuditRow]:
        return [_row(*columns) for columns in self._query(_ROW + where, parameters)]

    def _seqs(self, sql: str, parameters: tuple[object, ...]) -> array[int]:
        with translated(self._path, AUDIT):
            return array("q", (seq for (seq,) in self._connection().execute(sql, parameters)))

    def _query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with translated(self._path, AUDIT):
            return self._connection().execute(sql, parameters).fetchall()

    def _connection(self) -> sqlite3.Connection:
        """This thread's own connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_for_reading(self._path, AUDIT)
            with self._lock:
                self._connections.append(connection)
        return connection


def _conditions(
    chosen: AuditFilter, verdicts: tuple[str, ...], *first: str
) -> tuple[str, tuple[object, ...]]:
    """The WHERE clause for the filter, and its parameters; those of `first` come before them."""
    terms: list[str] = [*first]
    parameters: list[object] = []
    if verdicts:
        terms.append(f"verdict IN ({', '.join('?' * len(verdicts))})")
        parameters += map(str, verdicts)
    for term, value in (
        ("plugin = ?", chosen.plugin or None),
        ("time >= ?", chosen.since),
        ("time <= ?", chosen.until),
        ("instr(search, ?)", chosen.text.casefold() or None),
    ):
        if value is not None:
            terms.append(term)
            parameters.append(value)
    return (f"WHERE {' AND '.join(terms)}" if terms else ""), tuple(parameters)


def _row(seq: int, time: float, body: str, outcome_body: str | None) -> AuditRow:
    outcome = _outcome(outcome_body) if outcome_body else None
    if outcome is None:
        return AuditRow(seq, _event(seq, time, body), None, None)
    return AuditRow(seq, _event(seq, time, body), outcome.exit_code, outcome.duration_ms)


def _event(seq: int, time: float, body: str) -> AuditEvent:
    """The event as it was received; one that somebody made unreadable shows as what it is."""
    try:
        return AuditEvent.model_validate_json(body)
    except ValidationError:
        return AuditEvent(
            id="", time=time, plugin="", layer="supervisor", verdict=Verdict.ERROR,
            reason=f"Row {seq} was changed outside of this program and cannot be read: see audit verify.",
        )  # fmt: skip


def _outcome(body: str) -> Outcome | None:
    try:
        return Outcome.model_validate_json(body)
    except ValidationError:
        return None
