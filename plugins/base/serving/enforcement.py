"""What is in force: the policy, the worker that commands run in, and the lockdown.

A new policy is parsed here. A bad one changes nothing. A good one takes effect between two commands, and
when it changes the sandbox a new worker stands ready first. Without a policy, without a worker or in a
lockdown, `gate` raises: nothing runs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from plugins.base.control import Isolation, Lockdown, Message, Ready, SetPolicy, StartConfig
from plugins.base.errors import Denied, WorkerError
from plugins.base.events.records import Recorder
from plugins.base.plugin import Plugin
from plugins.base.policy import Policy
from plugins.base.policy.holder import PolicyHolder
from plugins.base.worker.link import SandboxSpec, Worker

log = logging.getLogger(__name__)

_FIRST_DELAY: Final = 0.1  # seconds until a lost worker is started again
_LONGEST_DELAY: Final = 5.0
_SETTLED: Final = 10.0  # a worker that lasted this long was a good one
_INTRODUCTION: Final = 30.0
_WAIT_FOR_POLICY: Final = 1.0


class LockedDown(Denied):
    """The operator locked everything down."""


class Enforcement:
    """Holds what is in force. `tell` sends to the supervisor, `changed` hears of each new policy."""

    def __init__(
        self,
        config: StartConfig,
        plugin: Plugin,
        recorder: Recorder,
        tell: Callable[[Message], None],
        changed: Callable[[Policy], None],
    ) -> None:
        self._config = config
        self._plugin = plugin
        self._recorder = recorder
        self._tell = tell
        self._changed = changed
        self.ready: Ready | None = None
        self._lockdown: str | None = None
        self._worker: Worker | None = None
        self._spec: SandboxSpec | None = None
        self._problem = "The plugin is starting."
        self._offer: SetPolicy | None = None
        self._wake = asyncio.Event()
        self.settled = asyncio.Event()  # set once a worker stands, or the first one could not be started
        self._delay = _FIRST_DELAY
        self._started = 0.0
        self._retiring: set[asyncio.Task[None]] = set()
        self._held = PolicyHolder(plugin.tool, plugin.rules_model, Path(config.state) / "policy.yaml", tell)

    @property
    def policy(self) -> Policy | None:
        return self._held.policy

    # ------------------------------------------------------------ asking

    def gate(self) -> tuple[Policy, Worker]:
        """The policy and the worker for the next command. Raises `Denied` when nothing may run."""
        self.check_lockdown()
        if self.policy is None:
            raise Denied(
                f"There is no valid policy for {self._plugin.tool}, so nothing may run.",
                hint=f"The operator can see why with: claude-container policy check {self._plugin.tool}",
            )
        if self._worker is None:
            raise WorkerError(self._problem, hint="Try again in a moment.")
        return self.policy, self._worker

    def check_lockdown(self) -> None:
        if self._lockdown is not None:
            message = f"Locked down by the operator{': ' if self._lockdown else '.'}{self._lockdown}"
            raise LockedDown(message, hint="Wait until the operator ends it.")

    def problem(self) -> str:
        """Why commands cannot run now, other than for a lockdown; "" when they can."""
        if self.policy is None:
            return f"There is no valid policy for {self._plugin.tool}."
        if self._worker is None:
            return self._problem
        return self.ready.problem if self.ready is not None else ""

    # ------------------------------------------------------------ being told

    def offer(self, message: SetPolicy) -> None:
        """Take a policy over soon; only the latest one counts."""
        self._offer = message
        self._wake.set()

    def set_lockdown(self, message: Lockdown) -> None:
        self._lockdown = message.message if message.on else None

    # ------------------------------------------------------------ keeping it up

    async def run(self) -> None:
        """Keep a worker standing and take policies over, until cancelled."""
        if self.policy is None:
            await self._first_offer()
        while True:
            if self._offer is not None:
                offer, self._offer = self._offer, None
                await self._adopt(offer)
            elif self._worker is None:
                await self._replace_worker(self.policy)
            elif self._worker.lost().done():
                self._lose_worker()
            self.settled.set()
            if self._offer is not None:
                continue
            await self._wake.wait()
            self._wake.clear()

    async def _first_offer(self) -> None:
        """Wait a moment for the first policy, so that the first worker is the right one already."""
        try:
            async with asyncio.timeout(_WAIT_FOR_POLICY):
                await self._wake.wait()
        except TimeoutError:
            log.info("No policy yet: everything is refused until there is one.")

    async def close(self) -> None:
        """End the workers, after their commands."""
        if self._worker is not None:
            self._retire(self._worker)
            self._worker = None
        if self._retiring:
            await asyncio.wait(self._retiring)

    # ------------------------------------------------------------ the policy

    async def _adopt(self, offer: SetPolicy) -> None:
        try:
            policy = self._held.read(offer)
            spec = self._spec_for(policy)
        except (Denied, OSError) as error:
            self._held.reject(offer, error)
            return
        if self._worker is None or spec != self._spec:
            await self._replace_worker(policy)
        self._held.take(policy)
        self._changed(policy)

    def load_last_good(self) -> None:
        """Enforce what the last process of this plugin enforced, if that was kept."""
        policy = self._held.last_good()
        if policy is not None:
            self._held.enforce(policy)
            self._changed(policy)

    # ------------------------------------------------------------ the worker

    def _spec_for(self, policy: Policy | None) -> SandboxSpec:
        private = Path(self._config.state) / "worker"
        private.mkdir(mode=0o700, exist_ok=True)
        return SandboxSpec(
            workspace=self._config.workspace,
            alias=self._config.alias,
            private=os.fspath(private),
            path=self._config.path,
            read=self._plugin.readable_paths(policy) if policy is not None else (),
            write=self._plugin.writable_paths(policy) if policy is not None else (),
            connect_ports=self._plugin.connect_ports(),
        )

    async def _replace_worker(self, policy: Policy | None) -> None:
        """Start a worker for the policy, then let the old one retire. When it cannot be, nothing runs."""
        new: Worker | None = None
        try:
            spec = self._spec_for(policy)
            new = await Worker.start(spec)
            ready = await self._introduce(new)
        except (Denied, OSError, TimeoutError) as error:
            self._fail(new, error)
            return
        old, self._worker = self._worker, new
        self._spec, self._started = spec, time.monotonic()
        new.lost().add_done_callback(lambda _: self._wake.set())
        self._announce(ready)
        if old is not None:
            self._retire(old)

    async def _introduce(self, worker: Worker) -> Ready:
        """Look whether the tool is there, and let the plugin look around."""
        tool = problem = ""
        async with asyncio.timeout(_INTRODUCTION):
            try:
                captured = await worker.capture(self._plugin.version_command(), cwd=self._config.workspace)
                tool = _first_line(captured.stdout)
                await self._plugin.prepare(worker.capture)
            except Denied as error:
                problem = error.message
        return Ready(isolation=worker.isolation, tool=tool, problem=problem)

    def _announce(self, ready: Ready) -> None:
        self.ready = ready
        self._tell(ready)
        log.info("The worker stands; %s.", ready.problem or ready.tool or self._plugin.tool)

    def _fail(self, new: Worker | None, error: Exception) -> None:
        """A worker could not be started: refuse everything, and try again later."""
        for worker in (self._worker, new):
            if worker is not None:
                self._retire(worker)
        self._worker = None
        self._problem = f"The worker cannot be started: {error}".rstrip(".") + "."
        self._announce(Ready(isolation=Isolation(), problem=self._problem))
        self._try_later()

    def _lose_worker(self) -> None:
        if self._worker is not None:
            self._retire(self._worker)
        self._worker = None
        self._problem = "The worker ended unexpectedly; a new one is started."
        self._announce(Ready(isolation=Isolation(), problem=self._problem))
        try:
            self._recorder.information("worker", self._problem)
        except Denied as error:
            log.warning("%s", error)
        if time.monotonic() - self._started > _SETTLED:
            self._delay = _FIRST_DELAY
        self._try_later()

    def _try_later(self) -> None:
        asyncio.get_running_loop().call_later(self._delay, self._wake.set)
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def _retire(self, worker: Worker) -> None:
        task = asyncio.create_task(worker.close())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _first_line(output: bytes) -> str:
    lines = output.decode("utf-8", "backslashreplace").splitlines()
    return lines[0][:200] if lines else ""
