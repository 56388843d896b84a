"""A plugin process: `python -m plugins.base START.json`.

Puts the parts together, runs until the supervisor or a signal says stop, and leaves nothing behind but the
spool. It holds no secret and reads nothing from the network; logs go to stderr.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from plugins.base.control import Hello, Lockdown, Message, SetPolicy, StartConfig, Tell
from plugins.base.control.link import ControlLink, LinkFactory
from plugins.base.errors import ClaudeContainerError
from plugins.base.events.records import Recorder
from plugins.base.events.spool import Spool
from plugins.base.events.stats import Counters
from plugins.base.plugin import Plugin
from plugins.base.policy import Policy
from plugins.base.registry import plugin_class
from plugins.base.secrets import forbid_dumps
from plugins.base.serving.channel import Slots
from plugins.base.serving.enforcement import Enforcement
from plugins.base.serving.judging import Services
from plugins.base.serving.server import Server
from plugins.base.serving.session import Session
from plugins.base.version import package_version

log = logging.getLogger(__name__)

_FLUSH_WITHIN: Final = 3.0  # seconds for the supervisor to store the last events
_MOST_DESCRIPTORS: Final = 65536


class PluginProcess:
    """One running plugin; a `LinkOwner` for its control link."""

    def __init__(self, config: StartConfig, plugin: Plugin, link: LinkFactory = ControlLink) -> None:
        self._config = config
        self._started = time.time()
        self._stopping = asyncio.Event()
        self._spool = Spool.open(Path(config.state) / "spool")
        recorder = Recorder(plugin.tool, self._spool)
        self._counters = Counters()
        self._link = link(config.control, self._spool, self)
        self._server = Server(config.socket, config.workspace, self._session)
        self._enforcement = Enforcement(config, plugin, recorder, self._link.post, self._adopt)
        self._services = Services(
            config, plugin, self._enforcement, recorder, self._link, self._counters, Slots()
        )

    def _adopt(self, policy: Policy) -> None:
        self._server.apply(policy)
        self._link.changed()

    def _session(self, sock: socket.socket, peer: str, large: asyncio.Semaphore) -> Session:
        return Session(self._services, sock, peer, large)

    async def run(self) -> None:
        """Serve until `stop`. Raises `ClaudeContainerError` when it cannot start."""
        self._enforcement.load_last_good()
        self._server.start()
        log.info("The %s plugin listens on %s.", self._config.plugin, self._config.socket)
        async with asyncio.TaskGroup() as tasks:
            link = tasks.create_task(self._link.run())
            enforcement = tasks.create_task(self._enforcement.run())
            accepting = tasks.create_task(self._accept_when_settled())
            await self._stopping.wait()
            accepting.cancel()
            await self._end(enforcement)
            link.cancel()
        self._spool.close()

    async def _accept_when_settled(self) -> None:
        """A plugin that was just started lets callers wait for its first worker."""
        await self._enforcement.settled.wait()
        self._server.accept()

    async def _end(self, enforcement: asyncio.Task[None]) -> None:
        await self._server.stop()
        enforcement.cancel()
        await asyncio.wait([enforcement])
        await self._enforcement.close()
        await self._link.drain(_FLUSH_WITHIN)

    # ------------------------------------------------------------ what the supervisor says and asks

    def hello(self) -> Hello:
        policy = self._enforcement.policy
        return Hello(
            plugin=self._config.plugin,
            token=self._config.token,
            pid=os.getpid(),
            version=package_version(),
            started=self._started,
            policy=policy.hash if policy is not None else "",
        )

    def news(self) -> list[Message]:
        return [self._enforcement.ready] if self._enforcement.ready is not None else []

    def stats(self) -> Message:
        return self._counters.snapshot(self._spool.pending)

    def set_policy(self, message: SetPolicy) -> None:
        self._enforcement.offer(message)

    def set_lockdown(self, message: Lockdown) -> None:
        self._enforcement.set_lockdown(message)
        self._link.changed()

    def stop(self) -> None:
        self._stopping.set()

    def other(self, message: Message) -> None:
        if isinstance(message, Tell):
            self._services.audience.tell(message)
            return
        log.warning("The supervisor sent a %s, which is not for this plugin.", type(message).__name__)


# ---------------------------------------------------------------- the process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the plugin that START.json describes; the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if len(given) != 1:
        sys.stderr.write("usage: python -m plugins.base START.json\n")
        return 2
    try:
        asyncio.run(serve(read_config(Path(given[0]))))
    except ClaudeContainerError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 -- a problem of the user's world
        return 1
    return 0


def read_config(path: Path) -> StartConfig:
    """Read the start file. Raises `ClaudeContainerError`; the message never shows the token."""
    try:
        return StartConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ClaudeContainerError(f"Cannot read {path}: {error.strerror}.") from error
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) or "the file" for each in error.errors())
        raise ClaudeContainerError(f"{path} is not a start file: {wrong} is wrong.") from None


async def serve(config: StartConfig, link: LinkFactory = ControlLink) -> None:
    """Run one plugin until it is told to stop."""
    prepare_process()
    lock = lock_state(Path(config.state))
    try:
        process = PluginProcess(config, plugin_class(config.plugin)(config), link)
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, process.stop)
        settle_memory()
        await process.run()
    finally:
        os.close(lock)


def prepare_process() -> None:
    """No core dumps and no tracing by others of this user; as many descriptors as there may be."""
    forbid_dumps()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(most, _MOST_DESCRIPTORS) if most != resource.RLIM_INFINITY else _MOST_DESCRIPTORS
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def settle_memory() -> None:
    """What was made until now stays: collections need not look at it again, nor come with every command."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def lock_state(state: Path) -> int:
    """Hold the state directory for this process alone. Raises `ClaudeContainerError`."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ClaudeContainerError(
            f"Cannot use the state directory {state}: {error.strerror}.", hint="Make it writable."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ClaudeContainerError(
            f"Another plugin process uses {state}.", hint="Stop it first: claude-container stop."
        ) from error
    return descriptor
