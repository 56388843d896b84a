"""Starting and stopping a supervisor: in the background, in the foreground, inside another program."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path

from plugins.base.errors import ClaudeContainerError
from supervisor import fleet, lock
from supervisor.api.client import Client, NotRunning
from supervisor.health import unhealthy
from supervisor.home import Home
from supervisor.runtimes import leftovers
from supervisor.runtimes.choice import AS_ASKED, Chosen
from supervisor.status import Status
from supervisor.supervisor import Supervisor
from supervisor.workspace import checked

log = logging.getLogger(__name__)

_READY, _HEALTHY, _ENDING, _LEAVING = 30.0, 20.0, 60.0, 2.0  # seconds
_FOR_EACH = 1.5  # seconds more for each plugin: they share the processors
_LOG_BYTES = 4 * 1024 * 1024
PROCESSES = Chosen("process", AS_ASKED)
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


# ---------------------------------------------------------------- in the background


def start_in_background(home: Home, workspace: Path, runtime: Chosen = PROCESSES) -> Status:
    """Start a supervisor, or use the one that runs; return when every plugin is healthy.

    Raises `ClaudeContainerError`: it cannot start, it works on another workspace, or a plugin is not
    healthy (the supervisor and the other plugins run on then).
    """
    home.create()
    workspace = checked(workspace, home)
    try:
        status = asyncio.run(_settled(home))
    except NotRunning:
        _wait_for_lock(home)
        _spawn(home, workspace, runtime)
        status = asyncio.run(_settled(home))
    if status.workspace != str(workspace):
        raise ClaudeContainerError(
            f"A supervisor (pid {status.pid}) of this home works on {status.workspace}.",
            hint="End it first with claude-container stop, or use another home with --home.",
        )
    _check_health(status)
    return status


def _wait_for_lock(home: Home) -> int | None:
    """A supervisor that does not answer may be about to end: give it a moment. Returns who has the lock."""
    deadline = time.monotonic() + _LEAVING
    while (pid := lock.holder(home.lock_file)) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    return pid


def _spawn(home: Home, workspace: Path, runtime: Chosen) -> None:
    """Start the process and wait until its API can be used."""
    reader, writer = os.pipe()
    try:
        with _open_log(home).open("ab") as output:
            # -P and cwd: nothing is ever imported from the workspace.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "supervisor", str(home.root), str(workspace), str(writer),
                 runtime.name, runtime.reason],
                cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=(writer,), start_new_session=True,
            )  # fmt: skip
        os.close(writer)
        writer = -1
        _take_word(_read_word(reader), process)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


def _read_word(reader: int) -> bytes | None:
    """What the new supervisor says: nothing when it ended, None when it takes too long."""
    readable, _, _ = select.select([reader], [], [], _READY)
    return os.read(reader, 65536) if readable else None


def _take_word(word: bytes | None, process: subprocess.Popen[bytes]) -> None:
    logs = "See: claude-container logs supervisor"
    if word is None:
        process.kill()
        process.wait()
        raise ClaudeContainerError(f"The supervisor was not ready within {_READY:.0f} s.", hint=logs)
    if not word:
        code = process.wait()
        raise ClaudeContainerError(f"The supervisor ended at once (exit status {code}).", hint=logs)
    error = json.loads(word).get("error")
    if error:
        process.wait()
        raise ClaudeContainerError(error["message"], hint=error["hint"])
    process.returncode = 0  # it goes on without us: nothing is waited for


async def _settled(home: Home) -> Status:
    """The status, as soon as every plugin runs under its policy, or is known not to."""
    client = await Client.connect(home)
    try:
        status = await client.status()
        with suppress(TimeoutError):  # the status tells which ones are not there yet
            patience = _HEALTHY + _FOR_EACH * len(status.plugins)
            async with asyncio.timeout(patience), aclosing(client.notifications()) as notifications:
                async for news in notifications:
                    if news.topic == "status":
                        status = Status.model_validate(news.data)
                        if all(map(fleet.settled, status.plugins)):
                            break
        return status
    finally:
        await client.close()


def _check_health(status: Status) -> None:
    if problem := unhealthy(status.plugins):
        raise ClaudeContainerError(
            problem, hint=f"The supervisor (pid {status.pid}) runs on. See: claude-container status"
        )


# ---------------------------------------------------------------- stopping


def stop(home: Home) -> bool:
    """Stop supervisor and plugins, also plugins that a killed supervisor left; False when nothing ran."""
    try:
        asyncio.run(_shut_down(home))
    except NotRunning:
        pid = _wait_for_lock(home)
        if pid is not None:
            raise ClaudeContainerError(
                f"A supervisor (pid {pid}) has this home, but does not answer.",
                hint=f"If it does not come back, run: kill {pid}",
            ) from None
        return home.lock_file.exists() and asyncio.run(_stop_left_over(home))
    return True


async def _shut_down(home: Home) -> None:
    client = await Client.connect(home)
    try:
        pid = (await client.status()).pid
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            await client.shutdown()
            if pid != os.getpid() and not await asyncio.to_thread(_wait, pidfd):
                raise ClaudeContainerError(f"The supervisor (pid {pid}) does not end.", hint=f"kill {pid}")
        finally:
            os.close(pidfd)
    finally:
        await client.close()


def _wait(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], _ENDING)[0])


async def _stop_left_over(home: Home) -> bool:
    with lock.held(home.lock_file):
        return await leftovers.stop(home)


# ---------------------------------------------------------------- in this process


def run_in_foreground(
    home: Home, workspace: Path, runtime: Chosen = PROCESSES, *, ready: Callable[[], None] | None = None
) -> None:
    """Supervise until SIGINT or SIGTERM; log to stderr."""
    logging.basicConfig(format=_FORMAT, level=logging.INFO, stream=sys.stderr)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    supervisor = Supervisor(home, workspace, runtime.name, runtime.reason)
    asyncio.run(_until_signalled(supervisor, ready))


async def _until_signalled(supervisor: Supervisor, ready: Callable[[], None] | None) -> None:
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signum, supervisor.request_stop)
    await supervisor.run(ready=ready)


class EmbeddedSupervisor:
    """A supervisor in a thread of this process, with an event loop of its own."""

    def __init__(self, home: Home, workspace: Path, runtime: Chosen = PROCESSES) -> None:
        self._home = home
        self._supervisor = Supervisor(home, workspace, runtime.name, runtime.reason)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Return when the API can be used. Raises what kept it from starting."""
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Stop the plugins and the supervisor; return when they have ended. A second call does nothing."""
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # it ended by itself just now
                loop.call_soon_threadsafe(self._supervisor.request_stop)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        handler: logging.Handler | None = None
        try:
            self._home.create()
            handler = _log_to(_open_log(self._home))
            asyncio.run(self._supervise())
        except BaseException as error:
            if self._started.is_set():
                log.exception("The supervisor ended by a mistake of the program")
            self._failure = error
        finally:
            self._started.set()
            if handler is not None:
                _log_no_longer(handler)

    async def _supervise(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._supervisor.run(ready=self._started.set)


# ---------------------------------------------------------------- logs


def _open_log(home: Home) -> Path:
    """The supervisor's log; one that has grown large is moved out of the way first."""
    path = home.logs / "supervisor.log"
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_name("supervisor.log.1"))
    return path


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    for name in ("supervisor", "asyncio"):
        logging.getLogger(name).addHandler(handler)
    logging.getLogger("supervisor").setLevel(logging.INFO)
    return handler


def _log_no_longer(handler: logging.Handler) -> None:
    for name in ("supervisor", "asyncio"):
        logging.getLogger(name).removeHandler(handler)
    handler.close()
