"""Judges a push on the wire by the same `evaluate` as everywhere, records it, and asks the operator.

The policy is taken when the decision is taken: an edit that arrives while a push waits counts for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from plugins.base.control.asking import Blocked, Ruling, describe
from plugins.base.errors import Denied
from plugins.base.events.records import About, safe_args
from plugins.base.gateway import Desk as GatewayDesk
from plugins.base.model import LOCKDOWN, Decision, Layer, Reason, RefUpdate, Verdict, refuse_all
from plugins.base.policy import Policy
from plugins.base.text import printable
from plugins.git import patterns, rules
from plugins.git.gateway.backup import Backups
from plugins.git.gateway.details import describe as describe_push
from plugins.git.gateway.forwards import Forwards, Note, settled
from plugins.git.gateway.history import Histories
from plugins.git.gateway.proofs import Judged
from plugins.git.gateway.push import Send, Settled
from plugins.git.gateway.receive_pack import Refusal
from plugins.git.gateway.reminder import reminding
from plugins.git.operation import GitOperation
from plugins.git.refusal import label
from plugins.git.urls import parse_url

HOOK_NAME: Final = "receive-pack"  # how an operation says that the wire itself was read


class Desk(GatewayDesk, Protocol):
    """What the judge of pushes needs beside."""

    @property
    def origin(self) -> str:
        """The pinned URL of origin; "" for none."""

    @property
    def forwards(self) -> Forwards: ...


@dataclass(slots=True)
class WireJudge:
    """The judge of one push."""

    desk: Desk
    plugin: str
    command: str  # id of the command that it came from, as the caller says
    histories: Histories
    backups: Backups
    _note: Path | None = None

    def decide(self, push: Judged) -> Decision:
        policy = self.desk.policy
        if self.desk.lockdown is not None:
            return refuse_all(LOCKDOWN, self.desk.lockdown)
        if policy is None:
            return refuse_all("internal", "There is no valid policy, so nothing may be pushed.")
        decision = rules.evaluate(policy, self._operation(push))
        return Decision((*decision.reasons, *_push_options(policy, push)))

    def _operation(self, push: Judged) -> GitOperation:
        specs = tuple(_refspec(update) for update in push.updates[:20])
        same = parse_url(self.desk.origin) == parse_url(push.upstream.url)
        return GitOperation(
            self.plugin, Layer.WIRE, ("push", "origin" if same else push.upstream.url, *specs), "",
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
        return await self._ask(push, decision, policy, remark)

    async def _ask(self, push: Judged, decision: Decision, policy: Policy, remark: Send) -> Settled:
        """Hold the push until the operator answers, or not."""

        async def say(text: str) -> None:
            await remark(text.removeprefix("remote: ").encode())  # git puts that before it itself

        blocked = Blocked(
            self._about(push), policy, self._operation(push), decision, lambda: self.decide(push),
            await describe(self._details(push)),
        )  # fmt: skip
        async with reminding(say, policy.approvals.hold_seconds):
            ruling = await self.desk.asking(say).settle(blocked)
        if ruling.verdict is Verdict.APPROVED:
            return await self._approved(push, decision, ruling)
        self._record(push, decision, ruling.verdict, request=ruling.request, reason=ruling.note)
        if ruling.may_run:
            return Settled(True)
        return Settled(False, _refusal(decision, ruling.request, ruling.note))

    async def _approved(self, push: Judged, decision: Decision, ruling: Ruling) -> Settled:
        """Keep what would be lost first; without that, the approval is not used."""
        try:
            await self.backups.save(ruling.request, push)
        except Denied as error:
            note = f"Approved, but what would be lost could not be kept first: {error.message}"
            self._record(push, decision, Verdict.ERROR, request=ruling.request, reason=note)
            return Settled(False, _refusal(decision, ruling.request, note))
        self._record(push, decision, Verdict.APPROVED, request=ruling.request, reason=ruling.note)
        return Settled(True)

    async def _details(self, push: Judged) -> str:
        if push.objects is None:
            return ""
        return await describe_push(
            push.upstream, push.updates, push.objects, push.parents, self.histories, push.object_format
        )

    def turned_down(self, push: Judged, reason: str) -> None:
        self._record(push, refuse_all("internal", reason), Verdict.BLOCKED)

    def begin(self, push: Judged) -> None:
        self._note = self.desk.forwards.begin(Note(self.command, push.upstream.url, push.updates))

    async def done(self, push: Judged, *, arrived: bool | None, answered: bool) -> None:
        if arrived is None:
            reason = "The outcome is unknown: the remote could not be asked whether the push arrived."
            self._write(push, Decision(), Verdict.ERROR, reason=reason)  # it was let through
        elif not answered:
            self.desk.recorder.information("wire", settled(push.upstream.url, push.updates, arrived=arrived))
        if self._note is not None:
            self.desk.forwards.end(self._note, known=arrived is not None)

    def _record(
        self, push: Judged, decision: Decision, verdict: Verdict, *, request: str = "", reason: str = ""
    ) -> None:
        self.desk.counters.blocked += verdict.refuses
        self._write(push, decision, verdict, request=request, reason=reason)

    def _write(
        self, push: Judged, decision: Decision, verdict: Verdict, *, request: str = "", reason: str = ""
    ) -> None:
        self.desk.recorder.decision(
            self._about(push), Layer.WIRE, verdict, self._operation(push), decision,
            reason=reason, request=request,
        )  # fmt: skip

    def _about(self, push: Judged) -> About:
        return About(self.command, safe_args(self._operation(push).argv), "", "", self.desk.policy_hash)


def _refspec(update: RefUpdate) -> str:
    """The update as somebody would type it."""
    name = update.ref.removeprefix("refs/heads/")
    if update.deletes:
        return f":{name}"
    return f"+{name}" if update.rewrites else name


def _push_options(policy: Policy, push: Judged) -> tuple[Reason, ...]:
    """Some servers merge or run pipelines on a push option: only what the policy names may be sent."""
    own = policy.rules if isinstance(policy.rules, rules.GitRules) else rules.GitRules()
    return tuple(
        policy.reason(
            "allowed_push_options",
            f"The push option {printable(option)!r} may not be sent.",
            "Push without -o and without push.pushOption.",
            approvable=False,
        )
        for option in push.options
        if patterns.first_match(own.allowed_push_options, option) is None
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
    return f"{reason.rule} (git.yaml:{reason.line})" if reason.line else reason.rule
