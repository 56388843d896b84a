"""Judges one connection by the same `decide` as everywhere, records it, and asks the operator.

The policy is taken when the decision is taken: an edit that arrives while a connection waits counts for it.
"""

from __future__ import annotations

from typing import Protocol

from plugins.base.control.asking import Blocked, Ruling
from plugins.base.egress.connections import RULE, Connection, connection
from plugins.base.errors import Denied
from plugins.base.events.records import About, safe_args
from plugins.base.gateway import Desk as GatewayDesk
from plugins.base.gateway import Say
from plugins.base.model import LOCKDOWN, Decision, Layer, Verdict, refuse_all
from plugins.base.plugin import Plugin
from plugins.base.refusal import plain_refusal


class Desk(GatewayDesk, Protocol):
    """What a judge of connections needs."""

    @property
    def tool(self) -> str: ...

    async def tell(self, command: str, text: str) -> None:
        """Say it on the stderr of whoever called the command; return when it is said, or cannot be."""


class ConnectionRefused(Denied):
    """A rule refuses the connection. `text` is for the agent, as any refusal is written."""

    def __init__(self, decision: Decision, request: str = "", note: str = "") -> None:
        first = decision.reasons[0]
        super().__init__(first.message, hint=first.hint)
        self.text = plain_refusal(decision, request, note)
        rule = f"({first.rule}, line {first.line})" if first.line else f"({first.rule})"
        waits = f"Request {request}." if request else ""
        self.line = " ".join(filter(None, (first.message, rule, note, waits)))


class ConnectionJudge:
    """The judge of one connection, until it is over."""

    def __init__(self, desk: Desk, kind: type[Plugin], command: str, host: str, say: Say) -> None:
        self._desk = desk
        self._kind = kind
        self._command = command
        self._host = host
        self._asking = desk.asking(say)
        self._asked = connection(desk.tool, host)
        self._approved = False

    def decide(self, asked: Connection | None = None) -> Decision:
        if self._desk.lockdown is not None:
            return refuse_all(LOCKDOWN, f"Locked down by the operator: {self._desk.lockdown}")
        policy = self._desk.policy
        if policy is None:
            return refuse_all("internal", "There is no valid policy, so nothing can be reached.")
        return self._kind.decide(policy, asked or self._asked)

    async def admit(self) -> None:
        """Judge the name, ask where that may help, and record it.

        Raises `ConnectionRefused`, and `SpoolError` when it cannot be recorded.
        """
        policy, decision = self._desk.policy, self.decide()
        ruling = Ruling(Verdict.ALLOWED if decision.allowed else Verdict.BLOCKED)
        if policy is not None and decision.approvable and policy.approvals.on_block == "hold":
            blocked = Blocked(self._about(), policy, self._asked, decision, self.decide)
            ruling = await self._asking.settle(blocked)
        self._approved = ruling.verdict is Verdict.APPROVED
        self._record(ruling.verdict, decision, ruling.request, ruling.note)
        if not ruling.may_run:
            raise ConnectionRefused(decision, ruling.request, ruling.note)

    def place(self, addresses: tuple[str, ...], own: tuple[str, ...]) -> None:
        """Judge again, now that it is known what the name stands for. Raises as `admit`."""
        self._asked = connection(self._desk.tool, self._host, addresses, own)
        self.check()

    def check(self) -> None:
        """Raises `ConnectionRefused`, recorded, when it may not be, or not go on, by what is in force now."""
        if not self.holds():
            decision = self._against()
            self._record(Verdict.BLOCKED, decision)
            raise ConnectionRefused(decision)

    def _against(self) -> Decision:
        """What stands against it; of one that was approved, what nobody can approve past."""
        decision = self.decide()
        lasting = tuple(reason for reason in decision.reasons if not reason.approvable)
        return Decision(lasting) if self._approved and lasting else decision

    def holds(self) -> bool:
        """Whether it may be by what is in force now; a yes is good for what can still be approved."""
        decision = self.decide()
        return decision.allowed or (self._approved and decision.approvable)

    def abandon(self) -> None:
        """Nobody waits any more: a question ends as a no."""
        self._asking.abandon()

    def over(self, what: str) -> None:
        """Record how it ended."""
        self._desk.recorder.information("wire", what, self._about())

    def _record(self, verdict: Verdict, decision: Decision, request: str = "", note: str = "") -> None:
        self._desk.counters.blocked += verdict.refuses
        self._desk.recorder.decision(
            self._about(), Layer.WIRE, verdict, self._asked, decision, reason=note, request=request
        )

    def _about(self) -> About:
        return About(self._command, safe_args(self._asked.argv), "", "", self._desk.policy_hash)


def record_unjudged(desk: Desk, command: str, asked: tuple[str, ...], why: str) -> None:
    """Record what is refused for how it is asked. Raises `SpoolError`: it is refused all the same."""
    desk.counters.blocked += 1
    about = About(command, safe_args(asked), "", "", desk.policy_hash)
    desk.recorder.refusal(about, Verdict.BLOCKED, why, rule=RULE, layer=Layer.WIRE)
