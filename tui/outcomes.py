"""What became of commands, from the audit rows of their layers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.audit.reader import AuditRow

REFUSED = ("blocked", "held", "denied", "expired", "error")
PASSED = ("allowed", "approved")


def one_for_each_command(rows: Iterable[AuditRow]) -> list[AuditRow]:
    """The newest row of each command, from rows that are newest first.

    A held one that was denied then has more than one; what operators answered is no command's own row.
    """
    newest: dict[str, AuditRow] = {}
    for row in rows:
        if row.event.layer != "approval":
            newest.setdefault(row.event.command or row.event.id, row)
    return list(newest.values())


def let_through(rows: Iterable[AuditRow]) -> list[AuditRow]:
    """The commands that ran, newest first; none that a later layer refused, or has still to judge.

    Of what ends or happens beside a command there may be rows, too: they are no decisions.
    """
    decisions = sorted(
        (row for row in rows if row.event.verdict != "info"), key=lambda row: row.seq, reverse=True
    )
    return [
        row
        for row in one_for_each_command(decisions)
        if row.event.verdict in PASSED and (not row.event.rule or row.event.verdict == "approved")
    ]
