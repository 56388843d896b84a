"""The process runtime: plugins as local processes that outlive the supervisor.

Each runs in a session of its own and logs to its own file. It starts to run only after its number and
start time were written down, so that there is never a plugin that a next supervisor cannot find; a
number that was given to another process meanwhile is never taken for the plugin's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from plugins.base.control import StartConfig
from plugins.base.errors import ClaudeContainerError, ToolMissing
from supervisor.files import make_private, replace_file
from supervisor.home import Home
from supervisor.runtimes import metrics, procfs
from supervisor.runtimes.logs import last_words, open_log
from supervisor.runtimes.metrics import Usage
from supervisor.runtimes.runtime import Exit

# -P: the working directory never becomes a place that Python imports from.
PYTHON = (sys.executable, "-P", "-m")

# Waits for a line before it becomes the plugin: its number is written down first. End of file: it ends.
_GATE = 'cd -- "$1" && shift && read -r go && exec "$@" </dev/null'
_PASSED_ON = ("LANG", "LANGUAGE", "TZ", "PYTHONPATH", "PYTHONHOME", "COVERAGE_PROCESS_START")
_RESET = {signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGXFSZ}


class ProcessInstance:
    """A plugin's process. Belongs to the event loop it was made in."""

    def __init__(self, config: StartConfig, pid: int, pidfd: int, started: float) -> None:
        self.config = config
        self.pid = pid
        self.started = started
        self._pidfd = pidfd
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self._loop.add_reader(pidfd, self._ended)

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def sample(self, before: Usage | None) -> Usage | None:
        return await asyncio.to_thread(metrics.sample, self.pid, before)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    @property
    def closed(self) -> bool:
        return self._pidfd < 0

    def close(self) -> None:
        """Watch it no longer."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _signal(self, signum: int) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signum)

    def _ended(self) -> None:
        found = _reap(self._pidfd)
        self.close()
        if not self._exit.done():
            self._exit.set_result(found)


def _reap(pidfd: int) -> Exit:
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return Exit()  # adopted: its exit status goes to another process
    if result is None:
        return Exit()
    if result.si_code == os.CLD_EXITED:
        return Exit(code=result.si_status)
    return Exit(signal=result.si_status)


class ProcessRuntime:
    """See `supervisor.runtimes.runtime.Runtime`.

    `command` is what is run in place of a plugin's module, with the start file as its argument.
    """

    name: Literal["process"] = "process"

    def __init__(self, home: Home, *, command: tuple[str, ...] = ()) -> None:
        self._home = home
        self._command = command
        self._instances: set[ProcessInstance] = set()

    def watch(self, tell: Callable[[str | None], None]) -> None:
        """Processes can always be started."""

    async def check_tool(self, tool: str, path: str) -> None:
        if shutil.which(tool, path=path) is None:
            raise ToolMissing(
                f"{tool} is not installed here.",
                hint=f"Install {tool}, or run plugins in containers: claude-container start --runtime docker",
            )

    async def start(self, config: StartConfig) -> ProcessInstance:
        try:
            pid = await asyncio.to_thread(self._spawn, config)
        except OSError as error:
            raise ClaudeContainerError(
                f"{config.plugin} cannot be started: {error.strerror}.",
                hint=f"See: claude-container logs {config.plugin}",
            ) from error
        return self._instance(config, pid, os.pidfd_open(pid), time.time())

    async def adopt(self, plugin: str) -> ProcessInstance | None:
        directory = self._home.plugin_state(plugin)
        try:
            config = StartConfig.model_validate_json((directory / "start.json").read_bytes())
            recorded = json.loads((directory / "process.json").read_bytes())
            pid = int(recorded["pid"])
            pidfd = os.pidfd_open(pid)
        except (OSError, ValueError, ValidationError, KeyError, TypeError):
            return None
        found = procfs.stat(pid)
        if found is None or found.state == "Z" or recorded != _identity(pid, found.start):
            os.close(pidfd)
            return None
        return self._instance(config, pid, pidfd, procfs.started(found.start) or time.time())

    async def found(self) -> tuple[str, ...]:
        records = (self._home.run / "plugins").glob("*/process.json")
        return tuple(sorted(record.parent.name for record in records))

    def last_words(self, plugin: str) -> str:
        return last_words(self._home, plugin)

    async def close(self) -> None:
        for instance in self._instances:
            instance.close()
        self._instances.clear()

    def _instance(self, config: StartConfig, pid: int, pidfd: int, started: float) -> ProcessInstance:
        instance = ProcessInstance(config, pid, pidfd, started)
        self._instances = {other for other in self._instances if not other.closed} | {instance}
        return instance

    def _spawn(self, config: StartConfig) -> int:
        """Start the plugin; returns its process number."""
        directory = Path(config.state)
        make_private(directory)
        start_file = directory / "start.json"
        replace_file(start_file, config.model_dump_json(indent=1).encode(), mode=0o600)
        command = (*(self._command or (*PYTHON, config.module)), str(start_file))
        environment = _environment(config)
        log = open_log(self._home.logs / f"{config.plugin}.log")
        reader, writer = os.pipe()
        try:
            pid = _start_behind_gate(command, directory, reader, log, environment)
            found = procfs.stat(pid)
            identity = _identity(pid, found.start if found else 0)
            replace_file(directory / "process.json", json.dumps(identity).encode(), mode=0o600)
            os.write(writer, b"go\n")
        finally:
            for descriptor in (reader, writer, log):
                os.close(descriptor)
        return pid


def _start_behind_gate(
    command: tuple[str, ...], directory: Path, gate: int, log: int, environment: dict[str, str]
) -> int:
    standard = [(os.POSIX_SPAWN_DUP2, gate, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    actions = [*standard, *((os.POSIX_SPAWN_CLOSE, other) for other in _inheritable())]
    return os.posix_spawn(
        "/bin/sh", ("sh", "-c", _GATE, "sh", str(directory), *command), environment,
        file_actions=actions, setsid=True, setsigmask=(), setsigdef=_RESET,
    )  # fmt: skip


def _inheritable() -> list[int]:
    """Descriptors that whoever started this program left open for its children, beside the standard ones."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            if int(entry.name) > 2 and os.get_inheritable(int(entry.name)):
                found.append(int(entry.name))
    return found


def _identity(pid: int, start: int) -> dict[str, object]:
    """What no other process ever has."""
    return {"pid": pid, "start": start, "boot": procfs.boot_id()}


def _environment(config: StartConfig) -> dict[str, str]:
    """The supervisor's environment may hold secrets: only what a plugin needs is passed on."""
    chosen = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")
    }
    return {"PATH": config.path, "PYTHONUNBUFFERED": "1", **chosen}
