"""Events and outcomes for the tests of the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from plugins.base.control import AuditEvent, Outcome, Update
from plugins.base.model import Layer, Verdict
from supervisor.audit.store import AuditStore

MAIN = Update(ref="refs/heads/main", old="1" * 40, new="2" * 40, fast_forward=True)


def event(number: int, **changes: object) -> AuditEvent:
    """Event `number`: every third one a blocked push."""
    blocked = number % 3 == 0
    plain = AuditEvent(
        id=f"{number:032x}", time=1000.0 + number, plugin="git", layer=Layer.ARGV, command=f"c{number}",
        args=("push", "origin", "main") if blocked else ("status",), cwd="/workspace",
        verdict=Verdict.BLOCKED if blocked else Verdict.ALLOWED, rule="blocked_branches" if blocked else "",
        rule_line=12 if blocked else None, reason="main is protected" if blocked else "",
        updates=(MAIN,) if blocked else (), caller="uid=1000 pid=42",
    )  # fmt: skip
    return plain.model_copy(update=changes)


def outcome(number: int, exit_code: int = 0) -> Outcome:
    """The end of the command of event `number`."""
    return Outcome(id=f"{number:032x}", command=f"c{number}", exit_code=exit_code, duration_ms=1.5)


def events(numbers: Iterable[int]) -> list[AuditEvent]:
    return [event(number) for number in numbers]


async def fill(path: Path, stored: list[AuditEvent], outcomes: list[Outcome] | None = None) -> None:
    """Write a log with these events and outcomes."""
    store = AuditStore(path)
    store.open()
    try:
        await store.append(stored, outcomes or [])
    finally:
        store.close()
