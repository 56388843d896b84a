"""The server's side of the worker: starts it, has it run commands, and notices when it is gone.

The server judges and checks where a command runs (`plugins.base.worker.directory`); the worker holds the
sandbox. A worker that is lost takes nothing with it but its commands: each `Running.wait()` then raises
`WorkerError`, and nothing of them is left running.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from plugins.base.control import Isolation
from plugins.base.errors import Denied, ToolMissing, WorkerError
from plugins.base.plugin import Captured
from plugins.base.sandbox import SandboxSpec
from plugins.base.worker.capture import capture
from plugins.base.worker.directory import open_inside
from plugins.base.worker.link_socket import WorkerSocket
from plugins.base.worker.running import Exit, Running, WorkerLost
from plugins.base.worker.wire import words

__all__ = ["Exit", "Running", "SandboxSpec", "Worker", "WorkerLost"]

_START_WITHIN: Final = 20.0  # seconds
_END_WITHIN: Final = 5.0
_REFUSALS: Final[dict[str, type[Denied]]] = {"denied": Denied, "missing": ToolMissing, "worker": WorkerError}


class Worker:
    """A worker process. Made by `start`; ended by `close` or `kill`."""

    isolation: Isolation

    def __init__(self, spec: SandboxSpec, process: subprocess.Popen[bytes], sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._roots = tuple(filter(None, (spec.workspace, spec.alias, spec.private)))
        self._process = process
        self._ids = itertools.count(1)
        self._running: dict[int, Running] = {}
        self._ready: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._overdue: asyncio.TimerHandle | None = None
        self._link = WorkerSocket(sock, self._receive, self._link_ended)
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._process_ended)

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, spec: SandboxSpec, *, log: int | None = None) -> Worker:
        """Start a worker in its sandbox. Raises `WorkerError`.

        `log`: descriptor for what the process itself has to say; by default our stderr.
        """
        spec = _resolved(spec)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _launch(theirs.fileno(), log)
            except OSError as error:
                ours.close()
                raise WorkerError(f"The worker cannot be started: {error.strerror}.") from error
        worker = cls(spec, process, ours)
        try:
            await worker._introduce(spec)
        except BaseException:
            worker.kill()
            await asyncio.shield(worker.lost())
            raise
        return worker

    async def _introduce(self, spec: SandboxSpec) -> None:
        self.post({"spec": asdict(spec), "parent": os.getpid()})
        try:
            async with asyncio.timeout(_START_WITHIN):
                first = await self._ready
        except TimeoutError as error:
            raise WorkerError("The worker did not start in time.", hint="See the plugin's log.") from error
        if "ready" not in first:
            raise WorkerError(f"The sandbox cannot be entered: {first['failed']}", hint=first["hint"])
        self.isolation = Isolation(**first["ready"])

    # ------------------------------------------------------------ commands

    def begin(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environment: Mapping[str, str],
        fds: tuple[int, int, int],
        channel: int | None = None,
        umask: int | None = None,
    ) -> Running:
        """Tell the worker to start a command; its descriptors are on their way then, and can be closed.

        Raises `Denied` (the directory, or text that no program can be given) and `WorkerError`.
        """
        running = Running(next(self._ids), self.post)
        request = {
            "run": running.id, "argc": len(argv), "umask": umask, "channel": channel is not None,
        }  # fmt: skip
        text = words(argv, environment)
        directory = open_inside(cwd, self._roots)
        try:
            given = (directory, *fds) if channel is None else (directory, *fds, channel)
            self._link.send(request, given, text)
        except OSError as error:
            raise _gone() from error
        finally:
            os.close(directory)
        self._running[running.id] = running
        return running

    async def capture(
        self,
        argv: tuple[str, ...],
        *,
        cwd: str,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Captured:
        """Run a command to its end and return what it printed: at most 8 MiB, within 30 s."""
        return await capture(self, argv, cwd=cwd, environment=environment, stdin=stdin)

    def post(self, message: Mapping[str, Any]) -> None:
        """Tell the worker; one that is gone needs no telling."""
        with suppress(OSError):
            self._link.send(message)

    # ------------------------------------------------------------ what the worker says

    def _receive(self, message: dict[str, Any]) -> None:
        if "started" in message:
            self._running[message["started"]].has_started(message["pid"], message["at"])
        elif "ended" in message:
            exit_ = Exit(message["exit_code"], message["signal"], message["ms"])
            ended = self._running.pop(message["ended"])
            ended.has_started(message["pid"], message["at"])
            ended.has_ended(exit_)
        elif "refused" in message:
            refusal = _REFUSALS[message["kind"]](message["message"])
            self._running.pop(message["refused"]).has_ended(None, refusal)
        elif not self._ready.done():
            self._ready.set_result(message)

    # ------------------------------------------------------------ the end

    def lost(self) -> asyncio.Future[None]:
        """Done when the worker process is gone, wanted or not."""
        return self._lost

    async def close(self) -> None:
        """Let the running commands end, then end the worker."""
        while self._running and not self._lost.done():
            await next(iter(self._running.values())).over()
        self.kill()
        await asyncio.shield(self._lost)

    def kill(self) -> None:
        """End the worker and all its commands now."""
        self._link.close()
        self._link_ended()

    def _link_ended(self) -> None:
        """The worker ends by itself now, with its commands; make sure of it."""
        if self._overdue is None and not self._lost.done():
            self._overdue = self._loop.call_later(_END_WITHIN, self._process.kill)

    def _process_ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._link.drain()  # what it said last
        self._link.close()
        if self._overdue is not None:
            self._overdue.cancel()
        self._lose_commands()
        self._lost.set_result(None)

    def _lose_commands(self) -> None:
        if not self._ready.done():
            self._ready.set_result({"failed": "the worker ended at once.", "hint": "See the plugin's log."})
        running, self._running = self._running, {}
        if running:
            _end_session(self._process.pid)
        for command in running.values():
            command.has_ended(None, None if command.pid else _gone())


def _gone() -> WorkerError:
    return WorkerError("The worker is gone.", hint="Try the command again in a moment.")


def _resolved(spec: SandboxSpec) -> SandboxSpec:
    """The specification with real paths, against which directories can be compared."""
    workspace, private = (os.path.realpath(path) for path in (spec.workspace, spec.private))
    alias = os.path.realpath(spec.alias) if spec.alias else ""
    return replace(spec, workspace=workspace, private=private, alias=alias)


def _launch(link: int, log: int | None) -> subprocess.Popen[bytes]:
    """Start the process with nothing of our environment but what Python itself may need."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "LC_ALL": "C.UTF-8"}
    if libraries := os.environ.get("LD_LIBRARY_PATH"):
        environment["LD_LIBRARY_PATH"] = libraries
    return subprocess.Popen(
        [sys.executable, "-s", "-P", "-X", "utf8", "-m", "plugins.base.worker", str(link)],
        stdin=subprocess.DEVNULL, stdout=log if log is not None else subprocess.DEVNULL, stderr=log,
        pass_fds=(link,), cwd="/", env=environment,
    )  # fmt: skip


def _end_session(session: int) -> None:
    """End what a lost worker left: all processes of its session, whose number nobody else has meanwhile."""
    for name in os.listdir("/proc"):  # noqa: PTH208 -- names alone
        with suppress(ProcessLookupError, PermissionError):
            if name.isdigit() and os.getsid(int(name)) == session:
                os.killpg(os.getpgid(int(name)), signal.SIGKILL)
