"""The approval requests and grants as they are stored: each step one transaction, no step undone.

A request is `open` until it is answered: `granted` (a yes not used up yet), `used`, `denied` or
`expired`. At most one request is open for the same operation of the same plugin. Who waits for an
answer right now is not known here: see `supervisor.approvals.answers`.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from plugins.base.control import Ask
from plugins.base.errors import ClaudeContainerError
from supervisor.state_db import StateDb
from supervisor.status import Request

Requests = list[Request]

MOST_OPEN = 200  # of one plugin
_MOST_LISTED = 500
_MOST_CLOSED = 500  # older ones are forgotten; the audit log has them
_OPEN_SECONDS = 7 * 86400.0  # a request that nobody answers is a no after this time
_OUTLINE = 2048  # characters of the command line, and
_OUTLINE_ITEMS = 20  # updates and reasons, that a list shows

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another: i l o 0 1
_ID_LENGTH = 8

_SUBJECT = {"layer", "args", "cwd", "caller", "reasons", "remote", "updates"}
_LIVE = "state IN ('open', 'granted')"

_SETTLED = {
    "granted": "is approved already",
    "used": "was approved and used already",
    "denied": "was denied already",
    "expired": "has expired: nobody answered, or used the answer, in time",
}


class RequestError(ClaudeContainerError):
    """There is no such request, or it cannot be answered so."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a question: `approved` by a grant, or part of the open `request` ("": too many are)."""

    request: str
    approved: bool = False


class RequestStore:
    """Requests in the state file. Raises `StateError` when it cannot be read or written."""

    def __init__(self, db: StateDb) -> None:
        self._db = db

    def admit(self, ask: Ask, now: float) -> Admission:
        """Use up a grant for exactly this operation, else fold into its open request, else open one."""
        with self._db.transaction() as connection:
            return (
                _consume(connection, ask, now) or _fold(connection, ask, now) or _open(connection, ask, now)
            )

    def grant(self, id_: str, mode: Literal["once", "time"], now: float, until: float, uses: int) -> None:
        """Record a yes that is good until `until`; `uses` commands have used it already."""
        with self._db.transaction() as connection:
            _answer(connection, id_, ("open",), "granted", now)
            connection.execute(
                "UPDATE request SET mode = ?, grant_until = ?, grant_uses = ? WHERE id = ?",
                (mode, until, uses, id_),
            )

    def use(self, id_: str, now: float, remaining: int) -> str:
        """Record a yes that one waiting command uses up at once.

        When `remaining` more commands wait for the same, they become a request of their own: returns its id.
        """
        with self._db.transaction() as connection:
            _answer(connection, id_, ("open",), "used", now)
            connection.execute("UPDATE request SET mode = 'once', grant_uses = 1 WHERE id = ?", (id_,))
            return _renew(connection, id_, remaining) if remaining else ""

    def close_by_policy(self, id_: str, now: float, uses: int) -> None:
        """Record a yes that the policy itself gives from now on; `uses` commands went through by it."""
        with self._db.transaction() as connection:
            _answer(connection, id_, ("open", "granted"), "used", now)
            connection.execute(
                "UPDATE request SET mode = 'always', grant_until = NULL, grant_uses = grant_uses + ?"
                " WHERE id = ?",
                (uses, id_),
            )

    def deny(self, id_: str, reason: str, now: float) -> None:
        """Record a no; a yes that is not used up yet is taken back."""
        with self._db.transaction() as connection:
            _answer(connection, id_, ("open", "granted"), "denied", now)
            connection.execute("UPDATE request SET answer_reason = ? WHERE id = ?", (reason, id_))

    def expire(self, id_: str, now: float) -> None:
        """Record that nobody answered in time."""
        with self._db.transaction() as connection:
            _answer(connection, id_, ("open",), "expired", now)

    def sweep(self, now: float) -> Requests:
        """Close what ran out of time and forget the oldest closed ones; returns those that expired."""
        lapsed = "(state = 'granted' AND grant_until <= ?) OR (state = 'open' AND last <= ?)"
        times = (now, now - _OPEN_SECONDS)
        with self._db.transaction() as connection:
            rows = connection.execute(
                f"SELECT * FROM request WHERE ({lapsed}) AND grant_uses = 0",  # noqa: S608
                times,
            ).fetchall()
            connection.execute(
                f"""UPDATE request SET state = iif(grant_uses, 'used', 'expired'),
                    answered = coalesce(answered, ?) WHERE {lapsed}""",  # noqa: S608
                (now, *times),
            )
            _forget_oldest(connection)
        return [_request(row) for row in rows]

    def get(self, id_: str) -> Request:
        """The request with everything known of it. Raises `RequestError`."""
        with self._db.reading() as connection:
            return _request(_row(connection, id_.strip().lower()))

    def list(self) -> Requests:
        """What is open or granted, and the latest closed ones, newest first; long parts are cut."""
        live = f"SELECT * FROM request WHERE {_LIVE} ORDER BY last DESC LIMIT ?"  # noqa: S608
        closed = f"SELECT * FROM request WHERE NOT {_LIVE} ORDER BY last DESC LIMIT ?"  # noqa: S608
        with self._db.reading() as connection:
            rows = connection.execute(live, (_MOST_LISTED,)).fetchall()
            rows += connection.execute(closed, (_MOST_LISTED - len(rows),)).fetchall()
        return sorted((_outline(_request(row)) for row in rows), key=lambda r: r.last, reverse=True)

    def grant_minutes(self, id_: str) -> float:
        """How long a later yes stays good by the policy, in minutes."""
        with self._db.reading() as connection:
            return float(_row(connection, id_)["grant_minutes"])

    def open_count(self) -> int:
        """How many requests wait for an answer."""
        with self._db.reading() as connection:
            row = connection.execute("SELECT count(*) FROM request WHERE state = 'open'").fetchone()
        return int(row[0])


def _consume(connection: sqlite3.Connection, ask: Ask, now: float) -> Admission | None:
    row = connection.execute(
        "SELECT id FROM request WHERE plugin = ? AND fingerprint = ? AND state = 'granted'"
        " AND grant_until > ? ORDER BY grant_until LIMIT 1",
        (ask.plugin, ask.fingerprint, now),
    ).fetchone()
    if row is None:
        return None
    connection.execute(
        "UPDATE request SET last = ?, grant_uses = grant_uses + 1,"
        " state = iif(mode = 'once', 'used', state) WHERE id = ?",
        (now, row["id"]),
    )
    return Admission(row["id"], approved=True)


def _fold(connection: sqlite3.Connection, ask: Ask, now: float) -> Admission | None:
    row = connection.execute(
        "UPDATE request SET count = count + 1, last = ?, grant_minutes = ?"
        " WHERE plugin = ? AND fingerprint = ? AND state = 'open' RETURNING id",
        (now, ask.grant_minutes, ask.plugin, ask.fingerprint),
    ).fetchone()
    return Admission(row["id"]) if row else None


def _open(connection: sqlite3.Connection, ask: Ask, now: float) -> Admission:
    count = "SELECT count(*) FROM request WHERE plugin = ? AND state = 'open'"
    if connection.execute(count, (ask.plugin,)).fetchone()[0] >= MOST_OPEN:
        return Admission("")
    id_ = _new_id(connection)
    connection.execute(
        "INSERT INTO request (id, plugin, fingerprint, state, count, first, last, mode, grant_minutes,"
        " grant_uses, answer_reason, subject, details) VALUES (?, ?, ?, 'open', 1, ?, ?, '', ?, 0, '', ?, ?)",
        (
            id_, ask.plugin, ask.fingerprint, now, now, ask.grant_minutes,
            ask.model_dump_json(include=_SUBJECT), ask.details,
        ),
    )  # fmt: skip
    return Admission(id_)


def _renew(connection: sqlite3.Connection, id_: str, count: int) -> str:
    """Open the same request anew, for the `count` commands that were not let through."""
    new = _new_id(connection)
    connection.execute(
        "INSERT INTO request (id, plugin, fingerprint, state, count, first, last, mode, grant_minutes,"
        " grant_uses, answer_reason, subject, details) SELECT ?, plugin, fingerprint, 'open', ?, first, last,"
        " '', grant_minutes, 0, '', subject, details FROM request WHERE id = ?",
        (new, count, id_),
    )
    return new


def _new_id(connection: sqlite3.Connection) -> str:
    while True:
        id_ = "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
        if connection.execute("SELECT 1 FROM request WHERE id = ?", (id_,)).fetchone() is None:
            return id_


def _answer(
    connection: sqlite3.Connection, id_: str, possible: tuple[str, ...], state: str, now: float
) -> None:
    current = _row(connection, id_)["state"]
    if current not in possible:
        raise RequestError(
            f"Request {id_} {_SETTLED.get(current, 'is open')}.",
            hint="A new try makes a new request; see: claude-container approvals list",
        )
    connection.execute("UPDATE request SET state = ?, answered = ? WHERE id = ?", (state, now, id_))


def _row(connection: sqlite3.Connection, id_: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM request WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise RequestError(
            f"There is no request {id_[:40]!r}.", hint="See: claude-container approvals list --all"
        )
    return row


def _forget_oldest(connection: sqlite3.Connection) -> None:
    connection.execute(
        f"DELETE FROM request WHERE id IN (SELECT id FROM request WHERE NOT {_LIVE}"  # noqa: S608
        " ORDER BY last DESC LIMIT -1 OFFSET ?)",
        (_MOST_CLOSED,),
    )


def _request(row: sqlite3.Row) -> Request:
    stored: dict[str, Any] = {**json.loads(row["subject"]), **{key: row[key] for key in row.keys()}}  # noqa: SIM118
    return Request.model_validate(stored)


def _outline(request: Request) -> Request:
    """The request without its details and with long parts cut: a list of them fits in one frame."""
    args, room = [], _OUTLINE
    for arg in request.args:
        args.append(arg if len(arg) <= room else f"{arg[:room]}…")
        room -= len(arg)
        if room <= 0:
            break
    return request.model_copy(
        update={
            "args": tuple(args), "updates": request.updates[:_OUTLINE_ITEMS],
            "reasons": request.reasons[:_OUTLINE_ITEMS], "details": "",
        }
    )  # fmt: skip
