"""Asks the operator about a blocked operation, and waits for the answer. Whatever goes wrong is a no."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from plugins.base.control import Answer, Ask, Settled, Update
from plugins.base.control.link import Changed, ControlLink, Question
from plugins.base.events.records import About, Recorder, safe_text, updates_of
from plugins.base.events.stats import Counters
from plugins.base.model import LOCKDOWN, Decision, Layer, Operation, Verdict
from plugins.base.policy import Policy
from plugins.base.redact import redact
from plugins.base.text import printable

log = logging.getLogger(__name__)

_GRACE: Final = 15.0  # seconds after the hold in which the supervisor's own "expired" comes
_LONGEST_DETAILS: Final = 64 * 1024  # characters
_DETAILS_WITHIN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Ruling:
    """How a blocked operation was settled. `note` is for the agent; `request_is`, for the supervisor."""

    verdict: Verdict
    request: str = ""
    note: str = ""
    request_is: Settled = ""

    @property
    def may_run(self) -> bool:
        return self.verdict in (Verdict.ALLOWED, Verdict.APPROVED)


@dataclass(frozen=True, slots=True)
class Blocked:
    """A blocked operation, with what an operator must know to answer.

    `now` judges it by what is in force when it is called.
    """

    about: About
    policy: Policy
    operation: Operation
    decision: Decision
    now: Callable[[], Decision]
    details: str = ""

    def ask(self) -> Ask:
        operation, approvals = self.operation, self.policy.approvals
        return Ask(
            ask=0,
            fingerprint=fingerprint(operation, self.decision),
            plugin=operation.plugin,
            command=self.about.command,
            layer=operation.layer,
            args=self.about.args,
            cwd=self.about.cwd,
            caller=self.about.caller,
            reasons=tuple((each.rule, each.line, safe_text(each.message)) for each in self.decision.reasons),
            remote=safe_text(operation.remote),
            updates=tuple(Update.model_validate(update) for update in updates_of(operation.updates)),
            details=self.details,
            hold_seconds=approvals.hold_seconds,
            grant_minutes=approvals.grant_minutes,
        )


def fingerprint(operation: Operation, decision: Decision) -> str:
    """Equal for exactly the same operation: a yes for one is good for the other."""
    what: list[object] = [operation.plugin, operation.layer.value]
    if operation.layer is Layer.ARGV or not operation.updates:
        what += [list(operation.argv), operation.cwd]
    if operation.layer is not Layer.ARGV:
        updates = sorted((update.ref, update.old, update.new) for update in operation.updates)
        what += [operation.remote, updates, sorted({reason.rule for reason in decision.reasons})]
    return hashlib.sha256(json.dumps(what).encode("ascii")).hexdigest()


class Asking:
    """The questions of one command. `say` writes to its stderr."""

    def __init__(
        self,
        link: ControlLink,
        recorder: Recorder,
        counters: Counters,
        say: Callable[[str], Awaitable[None]],
    ) -> None:
        self._link = link
        self._recorder = recorder
        self._counters = counters
        self._say = say
        self._open: set[Question] = set()
        self._abandoned = False

    async def settle(self, blocked: Blocked) -> Ruling:
        """Ask, and wait as long as the policy holds commands. Raises `SpoolError`."""
        if self._abandoned or not self._link.up:
            return _unanswered(self._abandoned)
        question = self._link.ask(blocked.ask())
        question.give(Changed())  # it may have been judged by what is in force no longer
        self._open.add(question)
        try:
            async with asyncio.timeout(blocked.policy.approvals.hold_seconds + _GRACE):
                return await self._last_answer(question, blocked)
        except TimeoutError:
            return Ruling(Verdict.EXPIRED, note="The supervisor did not answer.")
        finally:
            self._open.discard(question)
            question.close()

    async def _last_answer(self, question: Question, blocked: Blocked) -> Ruling:
        request = ""
        try:
            while (answer := await question.answer()) is not None:
                if (ruling := _ruling(answer, blocked, request)) is not None:
                    question.close(ruling.request_is)
                    return ruling
                if isinstance(answer, Changed):
                    continue
                if not request:
                    self._counters.waiting += 1
                if answer.request != request:
                    request = answer.request
                    await self._hold(request, blocked)
        finally:
            self._counters.waiting -= bool(request)
        return _unanswered(self._abandoned, request)

    async def _hold(self, request: str, blocked: Blocked) -> None:
        self._recorder.decision(
            blocked.about,
            blocked.operation.layer,
            Verdict.HELD,
            blocked.operation,
            blocked.decision,
            request=request,
        )
        seconds = blocked.policy.approvals.hold_seconds
        prefix = "remote" if blocked.operation.remote else blocked.operation.plugin
        await self._say(f"{prefix}: waiting for the operator, request {request} (up to {seconds:g} s)\n")

    def abandon(self) -> None:
        """Nobody waits for answers any more: what is open ends as a no."""
        self._abandoned = True
        for question in self._open:
            question.give(None)


def _unanswered(abandoned: bool, request: str = "") -> Ruling:
    if abandoned:
        return Ruling(Verdict.BLOCKED, request, "The command did not wait for the operator's answer.")
    return Ruling(
        Verdict.BLOCKED, request, "Nobody can be asked now: the supervisor is not running. Try again later."
    )


def _ruling(answer: Answer | Changed, blocked: Blocked, request: str) -> Ruling | None:
    """What the answer comes to; None to wait on. A lockdown passes, so it settles no request."""
    if isinstance(answer, Changed):
        return _judged_again(blocked.now(), request)
    if answer.outcome == "waiting":
        return None
    if answer.outcome == "approved":
        return _approved(blocked.now(), answer.request)
    return _refused(answer, blocked.policy)


def _judged_again(now: Decision, request: str) -> Ruling | None:
    if now.allowed:
        note = "The policy was changed meanwhile: it allows this now."
        return Ruling(Verdict.ALLOWED, request, note, "allowed")
    if now.approvable:
        return None
    first = now.reasons[0]
    return Ruling(Verdict.BLOCKED, request, first.message, "" if first.rule == LOCKDOWN else "refused")


def _approved(now: Decision, request: str) -> Ruling:
    """A yes is good for what nobody may approve past only as long as it can be approved."""
    if not now.allowed and not now.approvable:
        note = f"Approved, but refused all the same: {now.reasons[0].message}"
        return Ruling(Verdict.BLOCKED, request, note)
    return Ruling(Verdict.APPROVED, request)


def _refused(answer: Answer, policy: Policy) -> Ruling:
    reason = safe_text(answer.reason, 500)
    match answer.outcome:
        case "denied":
            note = f"The operator said no{': ' if reason else '.'}{reason}"
            return Ruling(Verdict.DENIED, answer.request, note)
        case "expired":
            note = f"The operator did not answer within {policy.approvals.hold_seconds:g} s."
            return Ruling(Verdict.EXPIRED, answer.request, note)
    return Ruling(Verdict.BLOCKED, answer.request, _later(answer.request, reason, policy))


def _later(request: str, reason: str, policy: Policy) -> str:
    if not request:
        return reason or "Nobody can be asked now. Try again later."
    minutes = f"{policy.approvals.grant_minutes:g}"
    return f"No operator is there now. Once approved, run the same command again within {minutes} minutes."


async def describe(details: Awaitable[str]) -> str:
    """What the plugin tells the operator, safe to show: a question goes out without it rather than not."""
    try:
        async with asyncio.timeout(_DETAILS_WITHIN):
            text = await details
    except TimeoutError:
        return ""
    except Exception:
        log.exception("The details for the operator cannot be had.")
        return ""
    lines = redact(text[:_LONGEST_DETAILS]).split("\n")
    return "\n".join(printable(line) if not _plain(line) else line for line in lines)


def _plain(line: str) -> bool:
    return line.isascii() and line.replace("\t", "").isprintable()
