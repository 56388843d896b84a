"""Judges the operations of one command at every layer, records each verdict, and asks where a rule allows it.

A verdict that cannot be recorded is a refusal. Nothing is run here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from plugins.base.control import StartConfig
from plugins.base.control.asking import Asking, Blocked, Ruling, describe
from plugins.base.control.link import ControlLink
from plugins.base.errors import Denied
from plugins.base.events.records import About, Recorder
from plugins.base.events.spool import SpoolError
from plugins.base.events.stats import Counters
from plugins.base.model import LOCKDOWN, Decision, Layer, Operation, Verdict, refuse_all
from plugins.base.plugin import HookCall, Invocation, Plugin
from plugins.base.policy import Policy
from plugins.base.refusal import error_text
from plugins.base.serving.audience import Audience
from plugins.base.serving.channel import Pairs, ShimAnswer, Slots
from plugins.base.serving.deadline import Deadline
from plugins.base.serving.decisions import Decisions
from plugins.base.serving.enforcement import Enforcement, LockedDown
from plugins.base.worker.link import Worker

log = logging.getLogger(__name__)

MOST_COMMANDS: Final = 256  # at once; those that come then wait for a place
REFUSED = 1  # exit status of what a rule refused


@dataclass(slots=True)
class Services:
    """What all commands of a plugin share."""

    config: StartConfig
    plugin: Plugin
    enforcement: Enforcement
    recorder: Recorder
    link: ControlLink
    counters: Counters
    slots: Slots
    pairs: Pairs = field(default_factory=Pairs)
    decisions: Decisions = field(init=False)
    audience: Audience = field(init=False)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_COMMANDS))

    def __post_init__(self) -> None:
        self.decisions = Decisions(self.plugin.evaluate)
        self.audience = Audience(self.link.post)


class CommandEnded(Denied):
    """The caller hung up or interrupted the command before it ran."""


class Judge:
    """The judge of one command, bound to its worker, and to its policy until it must wait."""

    def __init__(
        self,
        services: Services,
        about: About,
        policy: Policy,
        worker: Worker,
        say: Callable[[str], Awaitable[None]],
    ) -> None:
        self.policy = policy
        self._services = services
        self._about = about
        self._worker = worker
        self._asking = Asking(services.link, services.recorder, services.counters, say)
        self._operation: Operation | None = None
        self.deadline: Deadline | None = None  # stands still while the operator is asked

    def abandon(self) -> None:
        """Nobody waits any more: questions end as a no."""
        self._asking.abandon()

    async def inspect(self, invocation: Invocation) -> tuple[Operation, Decision]:
        """Judge the command line. Raises `Denied` when it cannot be judged."""
        plugin = self._services.plugin
        operation = await plugin.inspect(invocation, self.policy, self._worker.capture)
        self._operation = operation
        return operation, self._services.decisions.decide(self.policy, operation)

    async def settle(self, operation: Operation, decision: Decision) -> Ruling:
        """Record the verdict, after asking the operator where the policy says so. Raises `SpoolError`.

        The operation may run when the ruling is `ALLOWED` or `APPROVED`.
        """
        if decision.allowed:
            ruling = Ruling(Verdict.ALLOWED)
        elif self._deferred(operation, decision):
            ruling = Ruling(Verdict.ALLOWED, note="Judged again, with more facts, at a later layer.")
        elif decision.approvable and self.policy.approvals.on_block == "hold":
            ruling = await self._ask(operation, decision)
        else:
            ruling = Ruling(Verdict.BLOCKED)
        self._services.recorder.decision(
            self._about,
            operation.layer,
            ruling.verdict,
            operation,
            decision,
            reason=ruling.note,
            request=ruling.request,
        )
        self._services.counters.blocked += not ruling.may_run
        return ruling

    def _deferred(self, operation: Operation, decision: Decision) -> bool:
        return decision.approvable and self._services.plugin.deferred(operation, decision)

    async def _ask(self, operation: Operation, decision: Decision) -> Ruling:
        with self.deadline.paused() if self.deadline is not None else nullcontext():
            details = await describe(self._services.plugin.details(operation, self._worker.capture))
            blocked = Blocked(
                self._about, self.policy, operation, decision, lambda: self._now(operation), details
            )
            return await self._asking.settle(blocked)

    def _now(self, operation: Operation) -> Decision:
        """Judge by what is in force now, which is what the rest of the command is judged by too."""
        try:
            self._services.enforcement.check_lockdown()
        except LockedDown as error:
            return refuse_all(LOCKDOWN, error.message)
        self.policy = self._services.enforcement.policy or self.policy
        return self._services.plugin.evaluate(self.policy, operation)

    # ------------------------------------------------------------ hooks

    async def judge_hook(self, call: HookCall) -> ShimAnswer:
        """Judge what a hook of the running command knows. Never raises but when cancelled."""
        try:
            operation, decision = await self._inspect_hook(call)
            ruling = await self.settle(operation, decision)
            self._services.enforcement.check_lockdown()
        except Denied as error:
            return self._refuse_hook(error)
        except Exception as error:
            log.exception("A hook was refused because of a fault in the plugin.")
            return self._refuse_hook(Denied(f"The plugin failed ({type(error).__name__})."))
        if ruling.may_run:
            return ShimAnswer(0)
        refusal = self._services.plugin.refusal(operation, decision, ruling.request, ruling.note)
        return ShimAnswer(REFUSED, refusal)

    async def _inspect_hook(self, call: HookCall) -> tuple[Operation, Decision]:
        plugin = self._services.plugin
        self._services.enforcement.check_lockdown()
        if self._operation is None:
            raise Denied("The hook belongs to no command.")
        safe = HookCall(call.name, call.argv, call.cwd, call.stdin, plugin.environment(call.environment))
        try:
            operation = await plugin.inspect_hook(safe, self._operation, self.policy, self._worker.capture)
        except NotImplementedError as error:
            raise Denied(f"{plugin.tool} has no hook {call.name[:100]}.") from error
        return operation, plugin.evaluate(self.policy, operation)

    def _refuse_hook(self, error: Denied) -> ShimAnswer:
        record_refusal(self._services, self._about, error, Layer.HOOK)
        return ShimAnswer(REFUSED, error_text(error.message, error.hint))


def record_refusal(services: Services, about: About, error: Denied, layer: Layer = Layer.ARGV) -> None:
    """Record a refusal for another reason than a rule. What cannot be recorded goes to the log."""
    verdict = Verdict.BLOCKED if isinstance(error, LockedDown | CommandEnded) else Verdict.ERROR
    rule = LOCKDOWN if isinstance(error, LockedDown) else ""
    services.counters.blocked += 1
    try:
        services.recorder.refusal(about, verdict, error.message, rule=rule, layer=layer)
    except SpoolError as unrecorded:
        log.error("A refusal could not be recorded: %s", unrecorded)  # noqa: TRY400 -- no fault of ours
