"""Judges a push on the wire by the same `evaluate` as everywhere, records it, and asks the operator.

The policy is taken when the decision is taken: an edit that arrives while a push waits counts for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final, Protocol

from plugins.base.control import Answer, Ask, Update
from plugins.base.errors import Denied
from plugins.base.link import Question
from plugins.base.model import Decision, Layer, Reason, Verdict
from plugins.base.policy import Policy
from plugins.base.records import About, Recorder, safe_args, updates_of
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
    """What the judge needs of the plugin's side: policy, records and questions."""

    @property
    def policy(self) -> Policy | None: ...

    @property
    def lockdown(self) -> str | None: ...

    @property
    def recorder(self) -> Recorder: ...

    def ask(self, ask: Ask) -> Question: ...


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
            self._record(push, decision, Verdict.ALLOWED)
            return Settled(True)
        if policy is None or not decision.approvable or policy.approvals.on_block != "hold":
            self._record(push, decision, Verdict.BLOCKED)
            return Settled(False, _refusal(decision, "", ""))
        question = self.desk.ask(await self._question(push, decision, policy))
        try:
            return await self._answered(question, push, decision, policy, remark)
        finally:
            question.close()

    async def _answered(
        self, question: Question, push: Judged, decision: Decision, policy: Policy, remark: Send
    ) -> Settled:
        """Hold the push until the operator answers, or not."""
        while (answer := await question.answer()) is not None and answer.outcome == "waiting":
            self._record(push, decision, Verdict.HELD, request=answer.request)
            await remark(_waiting(decision, answer.request, policy.approvals.hold_seconds).encode())
        if answer is not None and answer.outcome == "approved":
            return await self._approved(push, decision, answer)
        verdict = _VERDICTS.get(answer.outcome, Verdict.BLOCKED) if answer else Verdict.BLOCKED
        request = answer.request if answer else ""
        self._record(push, decision, verdict, request=request, reason=answer.reason if answer else "")
        return Settled(False, _refusal(decision, request, _note(answer, policy)))

    async def _approved(self, push: Judged, decision: Decision, answer: Answer) -> Settled:
        """Keep what would be lost first; without that, the approval is not used."""
        try:
            await self.backups.save(answer.request, push)
        except Denied as error:
            note = f"approved, but what would be lost could not be kept first: {error.message}"
            self._record(push, decision, Verdict.ERROR, request=answer.request, reason=note)
            return Settled(False, _refusal(decision, answer.request, note))
        self._record(push, decision, Verdict.APPROVED, request=answer.request, reason=answer.reason)
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
            args=safe_args(self._operation(push).argv),
            cwd="",
            reasons=tuple(
                (reason.rule, reason.line, printable(reason.message)) for reason in decision.reasons
            ),
            remote=push.upstream.url,
            updates=tuple(Update.model_validate(each) for each in updates_of(push.updates)),
            details="\n".join(printable(line.replace("\t", "    ")) for line in details.splitlines()),
            hold_seconds=policy.approvals.hold_seconds,
            grant_minutes=policy.approvals.grant_minutes,
        )

    async def done(self, push: Judged, *, arrived: bool | None) -> None:
        if arrived is None:
            reason = "The outcome is unknown: the remote could not be asked whether the push arrived."
            self._record(push, Decision(), Verdict.ERROR, reason=reason)

    def _record(
        self, push: Judged, decision: Decision, verdict: Verdict, *, request: str = "", reason: str = ""
    ) -> None:
        operation, policy = self._operation(push), self.desk.policy
        about = About(self.command, safe_args(operation.argv), "", "", policy.hash if policy else "")
        self.desk.recorder.decision(
            about, Layer.WIRE, verdict, operation, decision, reason=reason, request=request
        )


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


def _waiting(decision: Decision, request: str, seconds: float) -> str:
    rule = decision.reasons[0].rule
    return (
        f"Blocked by {rule}. Waiting up to {seconds:.0f} s for the operator's answer (request {request})...\n"
    )


def _note(answer: Answer | None, policy: Policy) -> str:
    if answer is None:
        return "the supervisor cannot be asked right now"
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
