"""Judges a push on the wire by the same `evaluate` as everywhere, records it, and asks the operator.

The policy is taken when the decision is taken: an edit that arrives while a push waits counts for it.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from plugins.base.control import Answer, Ask, AuditEvent, Outcome, Update
from plugins.base.errors import Denied
from plugins.base.model import Decision, Layer, Reason, Verdict
from plugins.base.policy import Policy
from plugins.base.text import printable
from plugins.git import patterns, rules
from plugins.git.gateway.backup import Backups
from plugins.git.gateway.details import describe
from plugins.git.gateway.history import Histories
from plugins.git.gateway.push import Judged, Send, Settled
from plugins.git.gateway.receive_pack import Refusal
from plugins.git.operation import GitOperation
from plugins.git.refusal import label

HOOK_NAME: Final = "receive-pack"  # how an operation says that the wire itself was read
_VERDICTS: Final = {
    "denied": Verdict.DENIED,
    "expired": Verdict.EXPIRED,
    "later": Verdict.BLOCKED,
}


class Desk(Protocol):
    """What the gateway needs of the supervisor's side: policy, spool and questions."""

    @property
    def policy(self) -> Policy | None: ...

    @property
    def lockdown(self) -> str | None: ...

    def record(self, event: AuditEvent) -> None:
        """Write the event down. Raises `Denied` when that cannot be done: then nothing may happen."""

    def finish(self, outcome: Outcome) -> None: ...

    def ask(self, ask: Ask) -> AsyncIterator[Answer]: ...


@dataclass(frozen=True, slots=True)
class WireJudge:
    """The judge of one push."""

    desk: Desk
    plugin: str
    command: str  # id of the command that it came from, as the caller says
    histories: Histories
    backups: Backups

    def decide(self, push: Judged) -> Decision:
        policy = self.desk.policy
        if self.desk.lockdown is not None:
            return _never("lockdown", self.desk.lockdown)
        if policy is None:
            return _never("internal", "There is no valid policy, so nothing may be pushed.")
        decision = rules.evaluate(policy, self._operation(push))
        return Decision((*decision.reasons, *_push_options(policy, push)))

    def _operation(self, push: Judged) -> GitOperation:
        refs = tuple(update.ref for update in push.updates[:20])
        return GitOperation(
            self.plugin, Layer.WIRE, ("push", push.upstream.url, *refs), "",
            remote=push.upstream.url, updates=push.updates, hook=HOOK_NAME,
        )  # fmt: skip

    async def settle(self, push: Judged, decision: Decision, remark: Send) -> Settled:
        policy = self.desk.policy
        if decision.allowed:
            self.desk.record(self._event(push, decision, Verdict.ALLOWED))
            return Settled(True)
        if policy is None or not decision.approvable or policy.approvals.on_block != "hold":
            self.desk.record(self._event(push, decision, Verdict.BLOCKED))
            return Settled(False, _refusal(decision, "", ""))
        return await self._ask(push, decision, policy, remark)

    async def _ask(self, push: Judged, decision: Decision, policy: Policy, remark: Send) -> Settled:
        """Hold the push until the operator answers, or not."""
        answer = Answer(ask=0, outcome="later")
        async for answer in self.desk.ask(await self._question(push, decision, policy)):
            if answer.outcome == "approved":
                return await self._approved(push, decision, answer)
            if answer.outcome != "waiting":
                break
            self.desk.record(self._event(push, decision, Verdict.HELD, answer.request))
            await remark(_waiting(decision, answer.request, policy.approvals.hold_seconds).encode())
        verdict = _VERDICTS.get(answer.outcome, Verdict.BLOCKED)
        self.desk.record(self._event(push, decision, verdict, answer.request, answer.reason))
        return Settled(False, _refusal(decision, answer.request, _note(answer, policy)))

    async def _approved(self, push: Judged, decision: Decision, answer: Answer) -> Settled:
        """Keep what would be lost first; without that, the approval is not used."""
        try:
            await self.backups.save(answer.request, push)
        except Denied as error:
            note = f"approved, but what would be lost could not be kept first: {error.message}"
            self.desk.record(self._event(push, decision, Verdict.ERROR, answer.request, note))
            return Settled(False, _refusal(decision, answer.request, note))
        self.desk.record(self._event(push, decision, Verdict.APPROVED, answer.request, answer.reason))
        return Settled(True)

    async def _question(self, push: Judged, decision: Decision, policy: Policy) -> Ask:
        details = ""
        if push.objects is not None:
            details = await describe(
                push.upstream, push.updates, push.objects, push.parents, self.histories, push.object_format
            )
        return Ask(
            ask=0,
            fingerprint=_fingerprint(self.plugin, push, decision),
            plugin=self.plugin,
            command=self.command,
            layer=Layer.WIRE,
            args=("push", printable(push.upstream.url), *(printable(each.ref) for each in push.updates[:20])),
            cwd="",
            reasons=tuple(
                (reason.rule, reason.line, printable(reason.message)) for reason in decision.reasons
            ),
            remote=push.upstream.url,
            updates=_recorded(push),
            details="\n".join(printable(line.replace("\t", "    ")) for line in details.splitlines()),
            hold_seconds=policy.approvals.hold_seconds,
            grant_minutes=policy.approvals.grant_minutes,
        )

    async def done(self, push: Judged, *, arrived: bool | None) -> None:
        if arrived is None:
            reason = "The outcome is unknown: the remote could not be asked whether the push arrived."
            self.desk.record(self._event(push, Decision(), Verdict.ERROR, "", reason))
        self.desk.finish(
            Outcome(id=uuid.uuid4().hex, command=self.command, exit_code=0 if arrived else 1, duration_ms=0.0)
        )

    def _event(
        self, push: Judged, decision: Decision, verdict: Verdict, request: str = "", reason: str = ""
    ) -> AuditEvent:
        first = decision.reasons[0] if decision.reasons else None
        policy = self.desk.policy
        return AuditEvent(
            id=uuid.uuid4().hex, time=time.time(), plugin=self.plugin, layer=Layer.WIRE, command=self.command,
            args=("push", printable(push.upstream.url)), verdict=verdict,
            rule=first.rule if first else "", rule_line=first.line if first else None,
            reason=printable(reason or " ".join(each.message for each in decision.reasons)),
            remote=push.upstream.url, updates=_recorded(push), request=request,
            policy=policy.hash if policy else "",
        )  # fmt: skip


def _never(rule: str, message: str) -> Decision:
    return Decision((Reason(rule, message, approvable=False),))


def _push_options(policy: Policy, push: Judged) -> tuple[Reason, ...]:
    """Some servers merge or run pipelines on a push option: only what the policy names may be sent."""
    own = policy.rules if isinstance(policy.rules, rules.GitRules) else rules.GitRules()
    return tuple(
        policy.reason(
            "allowed_push_options",
            f"The push option {printable(option)!r} may not be sent.",
            "Push without -o and without push.pushOption.",
        )
        for option in push.options
        if patterns.first_match(own.allowed_push_options, option) is None
    )


def _fingerprint(plugin: str, push: Judged, decision: Decision) -> str:
    """Equal for exactly the same push: remote, refs, old and new values, options, and rules against it."""
    parts = [plugin, push.upstream.url]
    parts += sorted(f"{update.ref} {update.old} {update.new}" for update in push.updates)
    parts += sorted(f"option {option}" for option in push.options)
    parts += sorted({reason.rule for reason in decision.reasons})
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _recorded(push: Judged) -> tuple[Update, ...]:
    return tuple(
        Update(ref=printable(each.ref), old=each.old, new=each.new, fast_forward=each.fast_forward)
        for each in push.updates[:1000]
    )


def _waiting(decision: Decision, request: str, seconds: float) -> str:
    rule = decision.reasons[0].rule
    return (
        f"Blocked by {rule}. Waiting up to {seconds:.0f} s for the operator's answer (request {request})...\n"
    )


def _note(answer: Answer, policy: Policy) -> str:
    match answer.outcome:
        case "denied":
            return f"the operator said no{': ' + answer.reason if answer.reason else ''}"
        case "expired":
            return f"no answer within {policy.approvals.hold_seconds:.0f} s"
        case _:
            return (
                "no operator is there; once this is approved, the same push passes" if answer.request else ""
            )


def _refusal(decision: Decision, request: str, note: str) -> Refusal:
    """Each ref with a short label, and for people: why, which rule, what to do."""
    refs: dict[str, str] = {}
    for reason in decision.reasons:
        if reason.ref:
            refs.setdefault(reason.ref, label(reason.rule))
    remarks = [f"error: {reason.message}" for reason in decision.reasons[:20]]
    remarks += [f"rule: {_where(reason)}" for reason in _distinct(decision)]
    remarks += [f"hint: {hint}" for hint in [reason.hint for reason in decision.reasons if reason.hint][:1]]
    remarks += [f"note: {note}"] if note else []
    remarks += [f"request: {request}"] if request else []
    return Refusal(refs, tuple(printable(remark) for remark in remarks))


def _distinct(decision: Decision) -> list[Reason]:
    return list({reason.rule: replace(reason) for reason in reversed(decision.reasons)}.values())[::-1]


def _where(reason: Reason) -> str:
    return f"{reason.rule} (line {reason.line})" if reason.line else reason.rule
