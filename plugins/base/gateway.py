"""What every gateway process is: to the supervisor a plugin like any other, that judges what goes out.

A gateway is the second process of a tool. It alone has a network (git's own also the credentials); the tool
is in the worker, which reaches nothing but the gateway. What it judges and how it is spoken to is its own.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from plugins.base.control import (
    LONGEST_TELL,
    Hello,
    Isolation,
    Lockdown,
    Message,
    Ready,
    SetPolicy,
    StartConfig,
    Tell,
    Told,
    Undo,
    Undone,
)
from plugins.base.control.asking import Asking
from plugins.base.control.link import ControlLink, LinkFactory
from plugins.base.errors import ClaudeContainerError, Denied
from plugins.base.events.records import Recorder
from plugins.base.events.spool import Spool
from plugins.base.events.stats import Counters
from plugins.base.main import lock_state, prepare_process, read_config, settle_memory
from plugins.base.policy import Policy
from plugins.base.policy.holder import PolicyHolder
from plugins.base.rules import ToolRules
from plugins.base.version import package_version

log = logging.getLogger(__name__)

_COMMAND: Final = re.compile("[0-9a-f]{32}")  # as the worker says; it proves nothing
_FLUSH_WITHIN: Final = 3.0
_TOLD_WITHIN: Final = 3.0


Say = Callable[[str], Awaitable[None]]


class Desk(Protocol):
    """What judges need of a gateway: policy, records and questions."""

    @property
    def policy(self) -> Policy | None: ...

    @property
    def policy_hash(self) -> str:
        """Of the policy that decides; "" for none."""

    @property
    def lockdown(self) -> str | None: ...

    @property
    def recorder(self) -> Recorder: ...

    @property
    def counters(self) -> Counters: ...

    def asking(self, say: Say) -> Asking: ...


class Gateway:
    """One running gateway; a `LinkOwner` for its control link, a desk for its judges. Override `serve`."""

    def __init__(
        self, config: StartConfig, tool: str, rules_model: type[ToolRules], link: LinkFactory = ControlLink
    ) -> None:
        state = Path(config.state)
        self.config = config
        self.tool = tool
        self.counters = Counters()
        self.lockdown: str | None = None
        self._started = time.time()
        self._stopping = asyncio.Event()
        self._spool = Spool.open(state / "spool")
        self.recorder = Recorder(tool, self._spool)
        self._link = link(config.control, self._spool, self)
        self._telling: dict[int, asyncio.Future[None]] = {}
        self._numbers = itertools.count()
        self._held = PolicyHolder(tool, rules_model, state / "policy.yaml", self._link.post)

    async def serve(self) -> None:
        """Open the doors, `talk`, and close them again. Raises `ClaudeContainerError` when they cannot be."""
        raise NotImplementedError

    def describe(self) -> str:
        """What it is, in a few words for the status."""
        raise NotImplementedError

    def changed(self) -> None:
        """Another policy is in force, or a lockdown: judge anew what goes on."""
        self._link.changed()

    # ------------------------------------------------------------ what judges need

    @property
    def policy(self) -> Policy | None:
        return self._held.policy

    @property
    def policy_hash(self) -> str:
        return self.policy.hash if self.policy is not None else ""

    def asking(self, say: Say) -> Asking:
        return Asking(self._link, self.recorder, self.counters, say)

    async def tell(self, command: str, text: str) -> None:
        """Say it on the stderr of whoever called the command, if it runs; return when it is said.

        Where it cannot be said, or not in time, nothing is lost but that.
        """
        if not command or not self._link.up:
            return
        number = next(self._numbers)
        told = self._telling[number] = asyncio.get_running_loop().create_future()
        self._link.post(Tell(tell=number, command=command, text=text[:LONGEST_TELL]))
        try:
            await asyncio.wait([told], timeout=_TOLD_WITHIN)
        finally:
            del self._telling[number]

    # ------------------------------------------------------------ life

    async def run(self) -> None:
        """Serve until `stop`, by the last good policy until there is a newer one."""
        if (policy := self._held.last_good()) is not None:
            self._held.enforce(policy)
        await self.serve()
        self._spool.close()

    async def talk(self, *beside: Coroutine[Any, Any, None]) -> None:
        """Keep the control link, and do what is `beside`, until told to stop."""
        log.info("The gateway listens.")
        async with asyncio.TaskGroup() as tasks:
            link, *others = [tasks.create_task(work) for work in (self._link.run(), *beside)]
            await self._stopping.wait()
            for task in others:
                task.cancel()
            await self._link.drain(_FLUSH_WITHIN)
            link.cancel()

    # ------------------------------------------------------------ what the supervisor says and asks

    def hello(self) -> Hello:
        return Hello(
            plugin=self.config.plugin, token=self.config.token, pid=os.getpid(), version=package_version(),
            started=self._started, policy=self.policy_hash,
        )  # fmt: skip

    def news(self) -> list[Message]:
        return [Ready(isolation=Isolation(), tool=self.describe())]

    def tell_news(self) -> None:
        for each in self.news():
            self._link.post(each)

    def stats(self) -> Message:
        return self.counters.snapshot(self._spool.pending)

    def set_policy(self, message: SetPolicy) -> None:
        try:
            self._held.take(self._held.read(message))
        except Denied as error:
            self._held.reject(message, error)
        else:
            self.changed()

    def set_lockdown(self, message: Lockdown) -> None:
        self.lockdown = message.message if message.on else None
        self.changed()

    def stop(self) -> None:
        self._stopping.set()

    def other(self, message: Message) -> None:
        match message:
            case Undo():
                problem = "There is nothing that could be undone."
                self._link.post(Undone(request=message.request, problem=problem))
            case Told():
                told = self._telling.get(message.tell)
                if told is not None and not told.done():
                    told.set_result(None)


def claimed(untrusted_command: str) -> str:
    """The id of a command, if it can be one."""
    return untrusted_command if _COMMAND.fullmatch(untrusted_command) else ""


def cannot_listen(where: str, error: OSError) -> ClaudeContainerError:
    return ClaudeContainerError(
        f"The gateway cannot listen on {where}: {error.strerror}.",
        hint="Stop what uses the port, or run: claude-container stop, then start.",
    )


# ---------------------------------------------------------------- the process


def main(module: str, make: Callable[[StartConfig], Gateway], arguments: Sequence[str] | None = None) -> int:
    """Run the gateway that START.json describes; the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if len(given) != 1:
        sys.stderr.write(f"usage: python -m {module} START.json\n")
        return 2
    try:
        asyncio.run(run_process(read_config(Path(given[0])), make))
    except ClaudeContainerError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 -- a problem of the user's world
        return 1
    return 0


async def run_process(config: StartConfig, make: Callable[[StartConfig], Gateway]) -> None:
    """Run one gateway until it is told to stop."""
    prepare_process()
    lock = lock_state(Path(config.state))
    try:
        process = make(config)
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, process.stop)
        settle_memory()
        await process.run()
    finally:
        os.close(lock)
