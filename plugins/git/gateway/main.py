"""The gateway process: `python -m plugins.git.gateway START.json`.

Takes its credentials out of the environment before anything else, serves the worker's git on loopback
(or the plugin's own network), and is to the supervisor a plugin like any other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from plugins.base.control import (
    Credentials,
    Hello,
    Isolation,
    Lockdown,
    Message,
    Ready,
    SetPolicy,
    StartConfig,
    Undo,
    Undone,
)
from plugins.base.control.asking import Asking
from plugins.base.control.link import ControlLink, LinkFactory
from plugins.base.errors import ClaudeContainerError, Denied
from plugins.base.events.records import About, Recorder, safe_args
from plugins.base.events.spool import Spool
from plugins.base.events.stats import Counters
from plugins.base.main import lock_state, prepare_process, read_config, settle_memory
from plugins.base.model import Layer, Verdict
from plugins.base.policy import Policy
from plugins.base.policy.holder import PolicyHolder
from plugins.base.secrets import Secret, take_from_environment
from plugins.base.version import package_version
from plugins.git import addresses
from plugins.git.gateway.backup import Backups
from plugins.git.gateway.forwards import Forwards, Settler
from plugins.git.gateway.history import Histories
from plugins.git.gateway.judge import WireJudge
from plugins.git.gateway.push import Judge, Pushes
from plugins.git.gateway.remotes import AllowedRemotes
from plugins.git.gateway.server import Asked, Server
from plugins.git.gateway.stream import StreamServer
from plugins.git.gateway.upstream import RECEIVE_PACK, RemoteRefused, Upstream
from plugins.git.rules import GitRules

log = logging.getLogger(__name__)

TOOL: Final = "git"
CREDENTIALS: Final = "CLAUDE_CONTAINER_CREDENTIALS"  # names of the variables that hold secrets
_COMMAND: Final = re.compile("[0-9a-f]{32}")  # as the worker says; it proves nothing
_FLUSH_WITHIN: Final = 3.0
_CONNECT_WITHIN: Final = 30.0
_SILENT_AT_MOST: Final = 600.0  # seconds without a byte from the remote
_CONNECTIONS: Final = 64
_AT_ONCE: Final = 1 << 20  # bytes of an answer that wait to be read


class GatewayProcess:
    """One running gateway; a `LinkOwner` for its control link, a `Desk` for its judges."""

    def __init__(
        self, config: StartConfig, secrets: dict[str, Secret], link: LinkFactory = ControlLink
    ) -> None:
        state = Path(config.state)
        self._config = config
        self._secrets = secrets
        self._started = time.time()
        self._stopping = asyncio.Event()
        self._spool = Spool.open(state / "spool")
        self.counters = Counters()
        self._lockdown: str | None = None
        self._link = link(config.control, self._spool, self)
        self._held = PolicyHolder(TOOL, GitRules, state / "policy.yaml", self._link.post)
        self._histories = Histories(state / "histories")
        self._backups = Backups(state / "backups")
        self.forwards = Forwards(state / "forwards")
        self._tasks: set[asyncio.Task[None]] = set()
        self.recorder = Recorder(TOOL, self._spool)

    # ------------------------------------------------------------ what judges need

    @property
    def policy(self) -> Policy | None:
        return self._held.policy

    @property
    def lockdown(self) -> str | None:
        return self._lockdown

    def _max_pack_bytes(self) -> int:
        policy = self.policy
        return 0 if policy is None else policy.limits.max_pack_bytes

    def asking(self, say: Callable[[str], Awaitable[None]]) -> Asking:
        return Asking(self._link, self.recorder, self.counters, say)

    def judge(self, command: str) -> Judge:
        self.counters.commands += 1
        return WireJudge(self, TOOL, _claimed(command), self._histories, self._backups)

    def record_refusal(self, asked: Asked, error: Denied) -> None:
        """Record what is refused before a judge sees it. Raises `SpoolError`: it is refused all the same."""
        policy = self.policy
        verb = "push" if asked.service == RECEIVE_PACK else "fetch"
        url = f"/{asked.rest}" if asked.scheme == "file" else f"{asked.scheme}://{asked.rest}"
        hash_ = policy.hash if policy is not None else ""
        about = About(_claimed(asked.command), safe_args((verb, url)), "", "", hash_)
        rule = "remotes" if isinstance(error, RemoteRefused) else "internal"
        self.counters.blocked += 1
        self.recorder.refusal(about, Verdict.BLOCKED, error.message, rule=rule, layer=Layer.WIRE)

    # ------------------------------------------------------------ life

    async def run(self) -> None:
        """Serve until `stop`. Raises `ClaudeContainerError` when it cannot start."""
        quarantine = Path(self._config.state) / "quarantine"
        await asyncio.to_thread(_empty, quarantine)
        pushes = Pushes(self._histories, quarantine, self._max_pack_bytes)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_WITHIN, sock_read=_SILENT_AT_MOST)
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_AT_ONCE,
        ) as session:
            self._remotes = _Remotes(self, self._allowed(session))
            await self._serve(pushes)

    def _allowed(self, session: aiohttp.ClientSession) -> AllowedRemotes:
        state = Path(self._config.state)
        return AllowedRemotes(
            lambda: self.policy, self.origin, self._secrets, session, state, Path(self._config.workspace)
        )

    @property
    def origin(self) -> str:
        """The pinned origin; a path is made absolute, as the worker's git would."""
        return addresses.anchored(self._config.origin, self._config.workspace)

    async def _serve(self, pushes: Pushes) -> None:
        if (policy := self._held.last_good()) is not None:
            self._held.enforce(policy)
        capability = self._config.gateway.rpartition("/")[2]
        server = Server(capability, self._remotes, pushes)
        runner = server.runner()
        await runner.setup()
        streams = StreamServer(capability, self._remotes, pushes)
        try:
            await web.TCPSite(runner, *_address(self._config.gateway.split("/")[2])).start()
            door = await asyncio.start_server(streams.serve, *_address(self._config.stream))
        except OSError as error:
            await runner.cleanup()
            raise ClaudeContainerError(
                f"The gateway cannot listen on {self._config.stream}: {error.strerror}.",
                hint="Stop what uses the port, or run: claude-container stop, then start.",
            ) from error
        async with door:
            await self._talk()
        await runner.cleanup()

    async def _talk(self) -> None:
        log.info("The gateway listens.")
        settler = Settler(self.forwards, self.recorder, self._remotes.named, TOOL)
        async with asyncio.TaskGroup() as tasks:
            link, settling = tasks.create_task(self._link.run()), tasks.create_task(settler.run())
            await self._stopping.wait()
            settling.cancel()
            await self._link.drain(_FLUSH_WITHIN)
            link.cancel()
        self._spool.close()

    # ------------------------------------------------------------ what the supervisor says and asks

    def hello(self) -> Hello:
        policy = self.policy
        return Hello(
            plugin=self._config.plugin, token=self._config.token, pid=os.getpid(), version=package_version(),
            started=self._started, policy=policy.hash if policy is not None else "",
        )  # fmt: skip

    def news(self) -> list[Message]:
        names = ", ".join(sorted(self._secrets)) or "no credential"
        return [Ready(isolation=Isolation(), tool=f"gateway with {names}")]

    def stats(self) -> Message:
        return self.counters.snapshot(self._spool.pending)

    def set_policy(self, message: SetPolicy) -> None:
        try:
            self._held.take(self._held.read(message))
        except Denied as error:
            self._held.reject(message, error)
        else:
            self._link.changed()

    def set_lockdown(self, message: Lockdown) -> None:
        self._lockdown = message.message if message.on else None
        self._link.changed()

    def stop(self) -> None:
        self._stopping.set()

    def other(self, message: Message) -> None:
        if isinstance(message, Credentials):
            self._renew(message)
        elif isinstance(message, Undo):
            task = asyncio.get_running_loop().create_task(self._undo(message.request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _renew(self, message: Credentials) -> None:
        """Take new secrets over; the old ones are wiped."""
        for name, value in message.values.items():
            old = self._secrets.get(name)
            self._secrets[name] = Secret(value.encode())
            if old is not None:
                old.wipe()
        log.info("Took over %s.", ", ".join(sorted(message.values)))
        for each in self.news():
            self._link.post(each)

    async def _undo(self, request: str) -> None:
        try:
            saved = self._backups.find(request)
            upstream = self._remotes.named(saved[0].remote)
            refs = await self._backups.restore(request, upstream)
        except ClaudeContainerError as error:
            self._link.post(Undone(request=request, problem=error.message, hint=error.hint))
        else:
            self.recorder.information("wire", f"Undid request {request}: {', '.join(refs)}.")
            self._link.post(Undone(request=request, refs=refs))


class _Remotes:
    """See `plugins.git.gateway.server.Remotes`."""

    def __init__(self, process: GatewayProcess, allowed: AllowedRemotes) -> None:
        self._process = process
        self._allowed = allowed
        self.judge = process.judge
        self.refused = process.record_refusal
        self.for_fetch = allowed.for_fetch
        self.for_push = allowed.for_push

    def named(self, url: str) -> Upstream:
        """A remote by the URL that the gateway shows. Raises `Denied` when it is not allowed any more."""
        scheme, separator, rest = url.partition("://")
        if separator:
            return self._allowed.for_push(scheme, rest)
        return self._allowed.for_push("file", url.removeprefix("/"))


def _claimed(command: str) -> str:
    """The id of a command, if it can be one."""
    return command if _COMMAND.fullmatch(command) else ""


def _empty(directory: Path) -> None:
    """Remove what is in it; the directory may be a disk of its own."""
    for left in directory.iterdir() if directory.is_dir() else ():
        shutil.rmtree(left, ignore_errors=True)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


# ---------------------------------------------------------------- the process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway that START.json describes; the exit status."""
    names = os.environ.pop(CREDENTIALS, "").split()
    secrets = take_from_environment(names)
    given = sys.argv[1:] if arguments is None else list(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if len(given) != 1:
        sys.stderr.write("usage: python -m plugins.git.gateway START.json\n")
        return 2
    try:
        asyncio.run(serve(read_config(Path(given[0])), secrets))
    except ClaudeContainerError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 -- a problem of the user's world
        return 1
    return 0


async def serve(config: StartConfig, secrets: dict[str, Secret], link: LinkFactory = ControlLink) -> None:
    """Run one gateway until it is told to stop."""
    prepare_process()
    lock = lock_state(Path(config.state))
    try:
        process = GatewayProcess(config, secrets, link)
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, process.stop)
        settle_memory()
        await process.run()
    finally:
        os.close(lock)
