"""Supervisors to test with: in this process or in one of their own, with fake plugins."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from supervisor import daemon
from supervisor.api.client import Client
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.home import Home
from supervisor.runtimes.process import ProcessRuntime
from supervisor.runtimes.runtime import Runtime
from supervisor.status import PluginStatus, Status
from supervisor.supervisor import Supervisor

Place = tuple[Home, Path]  # a home and a workspace

FAKE = (sys.executable, "-P", str(Path(__file__).with_name("fake_plugin.py")))
POLICY = "plugin: {name}\nversion: 1\nrules:\n  blocked_subcommands: [publish]\n"


@contextmanager
def scratch() -> Iterator[Place]:
    """A home and a workspace, on a path short enough for sockets. What runs on the home is ended after."""
    directory = Path(tempfile.mkdtemp(prefix="cc-")).resolve()
    home, workspace = Home(directory / "h"), directory / "w"
    home.create()
    workspace.mkdir()
    try:
        yield home, workspace
    finally:
        daemon.stop(home)
        shutil.rmtree(directory)


def write_policy(home: Home, name: str, extra: str = "") -> None:
    home.policy_file(name).write_text(POLICY.format(name=name) + extra)


@asynccontextmanager
async def supervised(home: Home, workspace: Path, runtime: Runtime | None = None) -> AsyncIterator[Client]:
    """A supervisor in this event loop, and a client of it. Stopped at the end."""
    supervisor = Supervisor(home, workspace, runtime or ProcessRuntime(home, command=FAKE))
    ready = asyncio.Event()
    running = asyncio.create_task(supervisor.run(ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not ready.is_set():
        waiting.cancel()
        await running
    client = await Client.connect(home)
    try:
        yield client
    finally:
        await client.close()
        supervisor.request_stop()
        await running


async def status_when(client: Client, condition: Callable[[Status], bool], *, seconds: float = 20) -> Status:
    """The first status that fulfils the condition."""
    async with asyncio.timeout(seconds):
        async for news in client.notifications():
            if news.topic == "status":
                status = Status.model_validate(news.data)
                if condition(status):
                    return status
    raise AssertionError("the supervisor went away")


async def plugin_when(client: Client, name: str, condition: Callable[[PluginStatus], bool]) -> PluginStatus:
    def fulfilled(status: Status) -> bool:
        return any(plugin.name == name and condition(plugin) for plugin in status.plugins)

    status = await status_when(client, fulfilled)
    return next(plugin for plugin in status.plugins if plugin.name == name)


async def enforced(client: Client, name: str) -> PluginStatus:
    return await plugin_when(client, name, lambda p: p.state == "running" and p.policy.state == "enforced")


async def tell(home: Home, name: str, line: str) -> str:
    """Send the fake plugin a line, as its agent would; returns what it answers."""
    reader, writer = await asyncio.open_unix_connection(str(home.plugin_socket(name)))
    try:
        writer.write(f"{line}\n".encode())
        async with asyncio.timeout(20):
            return (await reader.readline()).decode().strip()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def reasons(home: Home) -> list[str]:
    """The reasons of all audit events, oldest first."""
    reader = AuditReader(home.audit_db)
    return [row.event.reason for row in reader.rows(AuditFilter(), 0, 1000)]


async def reason_recorded(home: Home, text: str) -> None:
    """Wait until an event with this text in its reason is stored."""
    async with asyncio.timeout(20):
        while not any(text in reason for reason in reasons(home)):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.01)


def raw_api(home: Home) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(home.api_socket))
    return sock
