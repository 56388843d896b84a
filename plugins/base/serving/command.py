"""The life of one command: judged, recorded, asked about, run, and its end recorded.

Nothing reaches the worker that was not judged and recorded before. Whatever goes wrong on the way is a
refusal. The caller may be gone at any moment; what runs then is ended, and its end is recorded.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Final, Protocol

from plugins.base.control.asking import Ruling
from plugins.base.environment import passed_on
from plugins.base.errors import Denied, ToolMissing, WorkerError
from plugins.base.events.records import About, new_id, safe_args, safe_directory
from plugins.base.events.spool import SpoolError
from plugins.base.model import Decision, Operation
from plugins.base.plugin import HookCall, Invocation
from plugins.base.policy import Policy
from plugins.base.refusal import error_text
from plugins.base.serving.caller import Caller
from plugins.base.serving.channel import Channel, RunCall, ShimAnswer, close_all
from plugins.base.serving.deadline import Deadline
from plugins.base.serving.judging import MOST_COMMANDS, REFUSED, CommandEnded, Judge, Services, record_refusal
from plugins.base.serving.protocol import ExecRequest
from plugins.base.worker.running import Running, WorkerLost

log = logging.getLogger(__name__)

TIMED_OUT: Final = 124  # as timeout(1) says it
NOT_JUDGED: Final = 125  # the plugin itself could not do its work
NOT_FOUND: Final = 127
PLACE_WITHIN: Final = 30.0  # seconds that a command waits while as many as may be run
FORWARDED: Final = frozenset(
    {
        signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL,
        signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH,
    }
)  # fmt: skip
_ENDING: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL})


class CallersSide(Protocol):
    """Runs a program where the caller is. Takes over the descriptors."""

    async def run_program(
        self, call: RunCall, environment: Mapping[str, str], fds: tuple[int, ...]
    ) -> int: ...


class Command:
    """One command. `run` returns its last frame; the other methods may be called meanwhile."""

    def __init__(
        self, services: Services, request: ExecRequest, caller: Caller, side: CallersSide, peer: str
    ) -> None:
        self._services = services
        self._request = request
        self._caller = caller
        self._side = side
        self._received = time.monotonic()
        policy = services.enforcement.policy
        self._about = About(
            new_id(),
            safe_args(request.args),
            safe_directory(request.cwd),
            peer,
            policy.hash if policy else "",
        )
        self._judge: Judge | None = None
        self._running: Running | None = None
        self._interrupted = 0  # the signal that came before the command ran
        self._gone = False
        self._patience: asyncio.Timeout | None = None  # while it waits for a place
        self._timed_out = False

    # ------------------------------------------------------------ from outside

    def signal(self, signum: int) -> None:
        """A signal from the caller: for the tool, or the end of the wait for it."""
        if signum not in FORWARDED:
            return
        if self._running is not None:
            self._running.signal(signum)
        elif signum in _ENDING:
            self._interrupted = signum
            self._abandon()

    def hang_up(self) -> None:
        """The caller is gone, or the plugin stops: end what runs."""
        self._gone = True
        self._abandon()
        if self._running is not None:
            self._running.kill()

    def _abandon(self) -> None:
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time())
        if self._judge is not None:
            self._judge.abandon()

    # ------------------------------------------------------------ judging

    async def run(self) -> bytes:
        """Live; return the response. Everything that was open for this command is closed then."""
        self._services.counters.commands += 1
        try:
            await self._take_place()
            try:
                return await self._live()
            finally:
                self._services.places.release()
        except Denied as error:
            return await self._refuse_unjudged(error)
        except Exception as error:
            log.exception("A command was refused because of a fault in the plugin.")
            return await self._refuse_unjudged(WorkerError(f"The plugin failed ({type(error).__name__})."))
        finally:
            self._caller.close()

    async def _take_place(self) -> None:
        """Wait for a turn, first come first served. Raises `Denied` when none comes, or nobody wants one."""
        places = self._services.places
        if not places.locked():
            await places.acquire()
            return
        try:
            async with asyncio.timeout(PLACE_WITHIN) as self._patience:
                await places.acquire()
        except TimeoutError:
            self._check_wanted()
            raise WorkerError(
                f"The plugin is busy with {MOST_COMMANDS} commands.", hint="Try again in a moment."
            ) from None
        finally:
            self._patience = None

    async def _live(self) -> bytes:
        policy, worker = self._services.enforcement.gate()
        if policy.hash != self._about.policy:  # a new one came since the request
            self._about = replace(self._about, policy=policy.hash)
        self._judge = judge = Judge(self._services, self._about, policy, worker, self._caller.say)
        environment = self._services.plugin.environment(self._request.env)
        invocation = Invocation(self._request.args, self._request.cwd, environment, self._about.command)
        operation, decision = await judge.inspect(invocation)  # what it runs to look has limits of its own
        self._check_wanted()
        ruling = await judge.settle(operation, decision)
        if not ruling.may_run:
            return await self._refuse(operation, decision, ruling)
        self._check_wanted()
        return await self._execute(operation, invocation, judge)

    def _check_wanted(self) -> None:
        """Raises `CommandEnded` when nobody wants the command any more."""
        if self._gone or self._interrupted:
            raise CommandEnded("The caller ended the command before it ran.")

    async def _refuse(self, operation: Operation, decision: Decision, ruling: Ruling) -> bytes:
        if self._interrupted:
            return await self._interruption()
        refusal = self._services.plugin.refusal(operation, decision, ruling.request, ruling.note)
        await self._say(refusal)
        return await self._caller.response(REFUSED, error=decision.reasons[0].message)

    async def _refuse_unjudged(self, error: Denied) -> bytes:
        """Refuse because of something else than a rule."""
        record_refusal(self._services, self._about, error)
        if self._interrupted:
            return await self._interruption()
        await self._say(error_text(error.message, error.hint))
        return await self._caller.response(_exit_code(error), error=error.message)

    async def _interruption(self) -> bytes:
        return await self._caller.response(
            128 + self._interrupted, error="The command was interrupted.", signal=self._interrupted
        )

    async def _say(self, text: str) -> None:
        if not self._gone:
            await self._caller.say(text)

    # ------------------------------------------------------------ running

    async def _execute(self, operation: Operation, invocation: Invocation, judge: Judge) -> bytes:
        counters = self._services.counters
        channel = Channel(self, self._services.slots, self._services.pairs)
        try:
            running = self._begin(operation, invocation, judge.policy, channel)
            counters.running += 1
            try:
                with self._services.audience.hears(self._about.command, self._say):
                    return await self._wait(running, judge)
            finally:
                counters.running -= 1
                if running.started_at:
                    counters.latencies.append((running.started_at - self._received) * 1000)
        finally:
            await channel.close()

    def _begin(
        self, operation: Operation, invocation: Invocation, policy: Policy, channel: Channel
    ) -> Running:
        worker = self._services.enforcement.gate()[1]  # after a wait it may be another one
        plugin = self._services.plugin
        command = plugin.command(operation, invocation, policy)
        environment = {**invocation.environment, **command.environment}
        self._running = worker.begin(
            command.argv,
            cwd=invocation.cwd,
            environment=plugin.connected(environment, invocation.command),
            fds=self._caller.descriptors(policy.limits),
            channel=channel.theirs,
            umask=self._request.umask,
        )
        channel.handed_over()
        self._caller.handed_over()
        return self._running

    async def _wait(self, running: Running, judge: Judge) -> bytes:
        started = time.perf_counter()
        seconds = judge.policy.limits.timeout_seconds
        judge.deadline = Deadline(seconds, self._pass_deadline)
        exit_code, signum, error = NOT_JUDGED, None, None
        try:
            ended = await running.wait()
            signum = ended.signal
            exit_code = ended.exit_code if signum is None else 128 + signum
        except WorkerLost as lost:
            error = lost.message
        finally:
            judge.deadline.end()
            if self._timed_out:
                exit_code, signum, error = TIMED_OUT, None, f"It ran longer than {seconds:g} s and was ended."
            if running.refusal is None:
                self._record_end(exit_code, time.perf_counter() - started)
        if error is not None:
            await self._say(error_text(error))
        return await self._caller.response(exit_code, error=error, signal=signum)

    def _record_end(self, exit_code: int, seconds: float) -> None:
        """Record the outcome at once, but let the caller have its answer first."""
        outcome = self._services.recorder.outcome
        asyncio.get_running_loop().call_soon(outcome, self._about.command, exit_code, seconds * 1000)

    def _pass_deadline(self) -> None:
        self._timed_out = True
        if self._running is not None:
            self._running.kill()

    # ------------------------------------------------------------ what the running command asks for

    async def judge_hook(self, call: HookCall) -> ShimAnswer:
        if self._judge is None:
            return ShimAnswer(REFUSED, error_text("The hook belongs to no command."))
        return await self._judge.judge_hook(call)

    async def run_program(self, call: RunCall, fds: tuple[int, ...]) -> ShimAnswer:
        """Hand a program to the caller's side, with the caller's own environment."""
        if not self._caller.interactive or self._gone:
            close_all(fds)
            return ShimAnswer(REFUSED, error_text(f"{call.argv[0]} cannot be run for this caller."))
        environment = {**self._request.env, **passed_on(call.environment)}
        deadline = self._judge.deadline if self._judge is not None else None
        with deadline.paused() if deadline is not None else nullcontext():
            return ShimAnswer(await self._side.run_program(call, environment, fds))


def _exit_code(error: Denied) -> int:
    if isinstance(error, ToolMissing):
        return NOT_FOUND
    return NOT_JUDGED if isinstance(error, WorkerError | SpoolError) else REFUSED
