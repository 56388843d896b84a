"""Operators' answers to blocked operations: questions come in from plugins, answers go back.

A question is answered at once when a yes for exactly that operation is there already, or when nobody is
there to answer; else its command waits. Whatever goes wrong on the way is a no.

Everything here runs in one event loop and nothing polls; what must last is in
`supervisor.approvals.requests`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

from plugins.base.control import Ask, AuditEvent, Settled
from plugins.base.model import Verdict
from plugins.base.text import printable
from supervisor.approvals.questions import Question, bounded
from supervisor.approvals.requests import MOST_OPEN, RequestError, Requests, RequestStore
from supervisor.approvals.waiting import Waiting
from supervisor.state_db import StateDb, StateError
from supervisor.status import Request

LONGEST_GRANT = 7 * 24 * 60.0  # minutes: a yes for longer belongs in the policy
_LONGEST_REASON = 500
_NEVER_NOW = "The policy was changed: nobody can approve this now."


class Approvals:
    """Requests, who waits for them, and the operators' answers.

    `notify` is called after every change, `operators` tells how many are attached, `record` takes the audit
    events of answers and expiries. Use it in one event loop.
    """

    def __init__(
        self,
        db: StateDb,
        notify: Callable[[], None],
        operators: Callable[[], int],
        record: Callable[[AuditEvent], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._requests = RequestStore(db)
        self._notify = notify
        self._operators = operators
        self._record = record
        self._clock = clock
        self._waiting = Waiting(clock, notify, self._expire)

    # ------------------------------------------------------------ for plugins

    def ask(self, ask: Ask, *, plugin: str = "") -> Question:
        """Take a question in; iterate over what is returned for its answers.

        `plugin` is who asks, as the supervisor knows it; it overrides what the question says.
        """
        ask = bounded(ask, plugin or ask.plugin)
        self.forget(ask)
        question = Question(ask.model_copy(update={"details": ""}), self._waiting.leave)
        try:
            self._sweep()
            admission = self._requests.admit(ask, self._clock())
        except StateError as error:
            question.answer("later", reason=error.message)
            return question
        if admission.approved:
            question.answer("approved", admission.request)
        elif not admission.request:
            question.answer("later", reason=f"{MOST_OPEN} requests of {ask.plugin} are open already.")
        elif self._operators() > 0 and self._waiting.has_room(ask):
            self._waiting.hold(question, admission.request)
        else:
            question.answer("later", admission.request)
        self._notify()
        return question

    def forget(self, ask: Ask, *, plugin: str = "", settled: Settled = "") -> None:
        """No answer is wanted any more; nothing happens when the command does not wait.

        Its request stays, unless a changed policy `settled` it, for all that wait.
        """
        question = self._waiting.find(ask, plugin)
        if question is None:
            return
        question.forget()
        if settled:
            with suppress(RequestError, StateError):  # the first of several settles it for all
                self._settle(question.request, settled)

    def _settle(self, id_: str, settled: Settled) -> None:
        request = self._requests.get(id_)
        if settled == "allowed":
            self._requests.close_by_policy(request.id, self._clock(), 1)
            self._tell(request, Verdict.ALLOWED, "The policy was changed: it allows this now.")
        else:
            self._requests.deny(request.id, _NEVER_NOW, self._clock())
            self._tell(request, Verdict.DENIED, _NEVER_NOW)
        self._notify()

    # ------------------------------------------------------------ for operators

    def approve(
        self,
        id_: str,
        mode: str = "once",
        minutes: float | None = None,
        *,
        by: str = "operator",
    ) -> Request:
        """Say yes to exactly this operation; raises `RequestError` when it cannot be.

        `once`: the command that waits longest goes through, or else the next try within `minutes`.
        `time`: all that wait, and every try within `minutes`. The default for `minutes` is the policy's.
        `always`: all that wait; later tries pass by the policy, which was changed for that.
        """
        request = self._requests.get(id_)
        if mode not in ("once", "time", "always"):
            raise RequestError(f"There is no approval {mode!r}.", hint="Approve once, or for some minutes.")
        if mode == "always":
            self._approve_always(request)
        elif mode == "once" and self._waiting.count(request.id):
            self._approve_waiting(request)
        else:
            self._grant(request, "once" if mode == "once" else "time", minutes)
        request = self._requests.get(request.id)
        self._tell(request, Verdict.APPROVED, _yes(request, by), by)
        self._notify()
        return self._waiting.live(request)

    def deny(self, id_: str, reason: str = "", *, by: str = "operator") -> Request:
        """Say no to all that wait; the agent gets to read `reason`. Takes back a yes not used up yet."""
        reason = printable(reason.strip())[:_LONGEST_REASON]
        request = self._requests.get(id_)
        self._requests.deny(request.id, reason, self._clock())
        for question in self._waiting.take(request.id):
            question.answer("denied", request.id, reason)
        self._tell(request, Verdict.DENIED, f"Denied by {by}{': ' if reason else '.'}{reason}", by)
        self._notify()
        return self._waiting.live(self._requests.get(request.id))

    def list(self) -> Requests:
        """Newest first, at most 500, without details and with long parts cut: `get` has everything."""
        self._sweep()
        return [self._waiting.live(request) for request in self._requests.list()]

    def get(self, id_: str) -> Request:
        """One request, whole. Raises `RequestError` when there is none."""
        self._sweep()
        return self._waiting.live(self._requests.get(id_))

    def open_count(self) -> int:
        """How many requests wait for an answer."""
        return self._requests.open_count()

    def close(self) -> None:
        """End all questions without an answer; their requests stay open."""
        self._waiting.close()

    # ------------------------------------------------------------ kinds of a yes

    def _approve_waiting(self, request: Request) -> None:
        """Let the command that waits longest through; the others wait on, under a request of their own."""
        remaining = self._waiting.count(request.id) - 1
        renewed = self._requests.use(request.id, self._clock(), remaining)
        first, *rest = self._waiting.take(request.id)
        first.answer("approved", request.id)
        for question in rest:
            self._waiting.add(question, renewed)

    def _approve_always(self, request: Request) -> None:
        if request.mode == "always":  # by the policy already, which plugins go by at once
            return
        self._requests.close_by_policy(request.id, self._clock(), self._waiting.count(request.id))
        for question in self._waiting.take(request.id):
            question.answer("approved", request.id)

    def _grant(self, request: Request, mode: Literal["once", "time"], minutes: float | None) -> None:
        """Record a yes for later tries, and let all through that wait now."""
        if minutes is None:
            minutes = self._requests.grant_minutes(request.id)
        if not 0 < minutes <= LONGEST_GRANT:  # also refuses what is not a number
            raise RequestError(
                f"A yes cannot stay good for {minutes:g} minutes.",
                hint=f"Name a time of up to {LONGEST_GRANT:g} minutes: "
                f"claude-container approvals approve {request.id} --minutes 30",
            )
        now, waiting = self._clock(), self._waiting.count(request.id)
        self._requests.grant(request.id, mode, now, now + minutes * 60, waiting)
        for question in self._waiting.take(request.id):
            question.answer("approved", request.id)

    # ------------------------------------------------------------ expiry and records

    def _expire(self, id_: str) -> None:
        with suppress(StateError):  # it stays open then, which lets nothing through
            self._requests.expire(id_, self._clock())
            self._tell(self._requests.get(id_), Verdict.EXPIRED, "Nobody answered in time.")

    def _sweep(self) -> None:
        for request in self._requests.sweep(self._clock()):
            unused = request.state == "granted"
            reason = "The approval was not used in time." if unused else "Nobody answered in time."
            self._tell(request, Verdict.EXPIRED, reason)

    def _tell(self, request: Request, verdict: Verdict, reason: str, by: str = "supervisor") -> None:
        """Record what became of a request."""
        rule, line, _ = request.reasons[0] if request.reasons else ("", None, "")
        event = AuditEvent(
            id=uuid.uuid4().hex, time=self._clock(), plugin=request.plugin, layer="approval",
            args=request.args, cwd=request.cwd, verdict=verdict, rule=rule, rule_line=line, reason=reason,
            remote=request.remote, updates=request.updates, request=request.id, caller=by,
        )  # fmt: skip
        self._record(event)


def _yes(request: Request, by: str) -> str:
    if request.mode == "once":
        return f"Approved once by {by}."
    if request.mode == "always":
        return f"Approved by {by}, always: the policy allows it now."
    until = datetime.fromtimestamp(request.grant_until or 0, UTC).isoformat(sep=" ", timespec="seconds")
    return f"Approved by {by} until {until}."
