"""The gateway process: `python -m plugins.git.gateway START.json`.

Takes its credentials out of the environment before anything else, serves the worker's git on loopback
(or the plugin's own network), and is to the supervisor a plugin like any other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from plugins.base.control import Credentials, Message, StartConfig, Undo, Undone
from plugins.base.control.link import ControlLink, LinkFactory
from plugins.base.doors import address, door
from plugins.base.errors import ClaudeContainerError, Denied
from plugins.base.events.records import About, safe_args
from plugins.base.gateway import Gateway, cannot_listen, claimed, run_process
from plugins.base.gateway import main as run_gateway
from plugins.base.model import Layer, Verdict
from plugins.base.secrets import Secret, take_from_environment
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
_CONNECT_WITHIN: Final = 30.0
_SILENT_AT_MOST: Final = 600.0  # seconds without a byte from the remote
_CONNECTIONS: Final = 64
_AT_ONCE: Final = 1 << 20  # bytes of an answer that wait to be read


class GatewayProcess(Gateway):
    """git's gateway; a `Desk` for its judges."""

    def __init__(
        self, config: StartConfig, secrets: dict[str, Secret], link: LinkFactory = ControlLink
    ) -> None:
        super().__init__(config, TOOL, GitRules, link)
        state = Path(config.state)
        self._secrets = secrets
        self._histories = Histories(state / "histories")
        self._backups = Backups(state / "backups")
        self.forwards = Forwards(state / "forwards")
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ what judges need

    def _max_pack_bytes(self) -> int:
        policy = self.policy
        return 0 if policy is None else policy.limits.max_pack_bytes

    def judge(self, command: str) -> Judge:
        self.counters.commands += 1
        return WireJudge(self, TOOL, claimed(command), self._histories, self._backups)

    def record_refusal(self, asked: Asked, error: Denied) -> None:
        """Record what is refused before a judge sees it. Raises `SpoolError`: it is refused all the same."""
        verb = "push" if asked.service == RECEIVE_PACK else "fetch"
        url = f"/{asked.rest}" if asked.scheme == "file" else f"{asked.scheme}://{asked.rest}"
        about = About(claimed(asked.command), safe_args((verb, url)), "", "", self.policy_hash)
        rule = "remotes" if isinstance(error, RemoteRefused) else "internal"
        self.counters.blocked += 1
        self.recorder.refusal(about, Verdict.BLOCKED, error.message, rule=rule, layer=Layer.WIRE)

    # ------------------------------------------------------------ life

    async def serve(self) -> None:
        quarantine = Path(self.config.state) / "quarantine"
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
        state = Path(self.config.state)
        return AllowedRemotes(
            lambda: self.policy, self.origin, self._secrets, session, state, Path(self.config.workspace)
        )

    @property
    def origin(self) -> str:
        """The pinned origin; a path is made absolute, as the worker's git would."""
        return addresses.anchored(self.config.origin, self.config.workspace)

    async def _serve(self, pushes: Pushes) -> None:
        at = door(self.config.gateway)
        server = Server(at.capability, self._remotes, pushes)
        runner = server.runner()
        await runner.setup()
        streams = StreamServer(at.capability, self._remotes, pushes)
        try:
            await web.TCPSite(runner, *at.address).start()
            second = await asyncio.start_server(streams.serve, *address(self.config.stream))
        except OSError as error:
            await runner.cleanup()
            raise cannot_listen(self.config.stream, error) from error
        async with second:
            settler = Settler(self.forwards, self.recorder, self._remotes.named, TOOL)
            await self.talk(settler.run())
        await runner.cleanup()

    # ------------------------------------------------------------ what the supervisor says and asks

    def describe(self) -> str:
        names = ", ".join(sorted(self._secrets)) or "no credential"
        return f"gateway with {names}"

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
        self.tell_news()

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


def _empty(directory: Path) -> None:
    """Remove what is in it; the directory may be a disk of its own."""
    for left in directory.iterdir() if directory.is_dir() else ():
        shutil.rmtree(left, ignore_errors=True)


# ---------------------------------------------------------------- the process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway that START.json describes; the exit status."""
    names = os.environ.pop(CREDENTIALS, "").split()
    secrets = take_from_environment(names)
    return run_gateway("plugins.git.gateway", lambda config: GatewayProcess(config, secrets), arguments)


async def serve(config: StartConfig, secrets: dict[str, Secret], link: LinkFactory) -> None:
    """Run one gateway, by another link than the supervisor's, until it is told to stop."""
    await run_process(config, lambda config: GatewayProcess(config, secrets, link))
