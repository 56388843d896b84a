"""Approvals with a clock and operators that tests set, and a question to begin with."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from plugins.base.control import Answer, Ask, AuditEvent, Update
from plugins.base.model import Layer
from supervisor.approvals.answers import Approvals
from supervisor.approvals.questions import Question
from supervisor.state_db import StateDb

NUMBERS = itertools.count(1)


def ask(fingerprint: str = "f", **changes: Any) -> Ask:
    """A blocked push that may wait for a minute, as one more command."""
    number = next(NUMBERS)
    plain = Ask(
        ask=number, fingerprint=fingerprint, plugin="git", command=f"c{number}", layer=Layer.HOOK,
        args=("push", "origin", "main"), cwd="/workspace", caller="uid=1000",
        reasons=(("blocked_branches", 12, "main is protected"),), remote="/up.git",
        updates=(Update(ref="refs/heads/main", old="1" * 40, new="2" * 40, fast_forward=True),),
        details="one commit", hold_seconds=60, grant_minutes=30,
    )  # fmt: skip
    return plain.model_copy(update=changes)


class Desk:
    """Approvals on a real state file, with a clock and a number of operators that tests set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1_000_000.0
        self.operators = 1
        self.changes = 0
        self.events: list[AuditEvent] = []
        self.open()

    def open(self) -> None:
        self.db = StateDb(self.path).open()
        self.approvals = Approvals(
            self.db, self._changed, lambda: self.operators, self.events.append, clock=lambda: self.now
        )

    def restart(self) -> None:
        self.close()
        self.open()

    def close(self) -> None:
        self.approvals.close()
        self.db.close()

    def _changed(self) -> None:
        self.changes += 1

    async def waiting(self, question: Ask) -> tuple[Question, str]:
        """Ask, and see that it waits; returns the question and its request."""
        asked = self.approvals.ask(question)
        answer = await anext(asked)
        assert answer.outcome == "waiting"
        return asked, answer.request

    async def later(self, question: Ask) -> str:
        """Ask while nobody is there; returns the request."""
        self.operators, before = 0, self.operators
        (answer,) = [answer async for answer in self.approvals.ask(question)]
        self.operators = before
        assert answer.outcome == "later"
        return answer.request

    async def outcome(self, question: Ask) -> str:
        """Ask while nobody is there; returns the outcome."""
        self.operators = 0
        return [answer async for answer in self.approvals.ask(question)][-1].outcome


async def the_rest(question: Question) -> list[Answer]:
    return [answer async for answer in question]
