"""Starts plugins for tests: in this process or in one of their own, and talks to them as a caller does.

async with plugin_for("sh", POLICY) as box:
    answer = await box.call("-c", "echo hello")
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plugins.base.control import Message, SetPolicy, StartConfig
from plugins.base.main import PluginProcess
from plugins.base.plugin import Plugin
from plugins.base.policy import policy_hash
from plugins.base.registry import plugin_class
from plugins.base.serving.connection import Connection
from plugins.base.serving.protocol import header
from supervisor.assets import client_binary
from tests.plugins.base.supervisor import WITHIN, FakeSupervisor

PATH = "/usr/local/bin:/usr/bin:/bin"
POLICY = "plugin: {tool}\nversion: 1\nrules: {{}}\n"


@dataclass
class Answer:
    """A response, and what came before it."""

    body: dict[str, Any]
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def exit_code(self) -> int:
        return int(self.body["exit_code"])


class RawCaller:
    """A connection to the agent's socket, to send anything over."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.connection = Connection(sock)

    async def send_bytes(self, data: bytes, fds: Sequence[int] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        view = memoryview(data)
        while view:
            try:
                sent = self.socket.sendmsg([view], rights)
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            view, rights = view[sent:], []

    async def send(self, body: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        data = json.dumps(body).encode()
        await self.send_bytes(header(len(data)) + data, fds)

    async def receive(self) -> dict[str, Any] | None:
        """The next frame, or None when the connection ended. Descriptors are closed."""
        body, fds = await self.receive_with_fds()
        for fd in fds:
            os.close(fd)
        return body

    async def receive_with_fds(self) -> tuple[dict[str, Any] | None, tuple[int, ...]]:
        async with asyncio.timeout(WITHIN):
            try:
                frame = await self.connection.receive()
            except ConnectionError:
                frame = None
        if frame is None:
            return None, ()
        body = json.loads(frame.data)
        assert isinstance(body, dict)
        return body, frame.fds

    async def response(self) -> dict[str, Any]:
        body = await self.receive()
        assert body is not None, "the connection was closed without a response"
        return body

    def close(self) -> None:
        self.connection.close()


@dataclass
class Box:
    """One plugin with its workspace, its supervisor, and short paths."""

    root: Path
    tool: str
    config: StartConfig
    supervisor: FakeSupervisor
    callers: list[RawCaller] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        return self.root / "w"

    async def connect(self) -> RawCaller:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.config.socket)
        caller = RawCaller(sock)
        self.callers.append(caller)
        return caller

    def exec_body(self, *args: str, **more: Any) -> dict[str, Any]:
        return {"action": "exec", "args": list(args), "cwd": str(self.workspace), "env": {}, **more}

    async def start(self, *args: str, **more: Any) -> RawCaller:
        """Send a request for a buffered answer."""
        caller = await self.connect()
        await caller.send(self.exec_body(*args, **more))
        return caller

    async def call(self, *args: str, **more: Any) -> Answer:
        """Run with a buffered answer."""
        caller = await self.start(*args, **more)
        body = await caller.response()
        caller.close()
        return Answer(body, _bytes(body["stdout"]), _bytes(body["stderr"]))

    async def start_with_fds(self, *args: str, **more: Any) -> FdsCall:
        call = FdsCall(await self.connect())
        await call.caller.send(self.exec_body(*args, stdio="fds", **more), call.passed)
        call.let_go()
        return call

    async def call_with_fds(self, *args: str, stdin: bytes = b"", **more: Any) -> Answer:
        """Run with descriptors of ours; what the tool wrote to them is in the answer."""
        call = await self.start_with_fds(*args, **more)
        return await call.finish(stdin)

    async def health(self) -> dict[str, Any]:
        caller = await self.connect()
        await caller.send({"action": "health"})
        body = await caller.response()
        caller.close()
        return body

    async def until_healthy(self) -> None:
        await self.supervisor.until(lambda: self.supervisor.ready and self.supervisor.applied)

    def close_callers(self) -> None:
        for caller in self.callers:
            caller.close()


class FdsCall:
    """A request with pipes of ours as descriptors 0, 1 and 2."""

    def __init__(self, caller: RawCaller) -> None:
        self.caller = caller
        stdin, self.stdin = os.pipe()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        self.passed = (stdin, stdout, stderr)

    def let_go(self) -> None:
        for fd in self.passed:
            os.close(fd)

    async def line(self) -> bytes:
        """The next line of the tool's stdout."""
        return await asyncio.to_thread(_read_line, self.stdout)

    async def error_line(self) -> bytes:
        return await asyncio.to_thread(_read_line, self.stderr)

    def close_stdin(self) -> None:
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    async def finish(self, stdin: bytes = b"") -> Answer:
        """Give stdin, read both outputs to their ends, and take the response."""
        if stdin:
            os.write(self.stdin, stdin)
        self.close_stdin()
        outputs = asyncio.gather(*(asyncio.to_thread(_read_all, fd) for fd in (self.stdout, self.stderr)))
        body = await self.caller.response()
        async with asyncio.timeout(WITHIN):
            stdout, stderr = await outputs
        self.caller.close()
        return Answer(body, stdout, stderr)

    def hang_up(self) -> None:
        self.caller.close()
        self.close_stdin()
        os.close(self.stdout)
        os.close(self.stderr)


def _read_line(fd: int) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(fd, 1)):
        line += byte
    return line


def _read_all(fd: int) -> bytes:
    data = b""
    while piece := os.read(fd, 65536):
        data += piece
    os.close(fd)
    return data


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# ---------------------------------------------------------------- starting


@asynccontextmanager
async def box_for(tool: str, policy: str | None) -> AsyncIterator[Box]:
    """Directories, a start file and a supervisor that sends `policy` (None: nothing) to whoever connects."""
    root = Path(tempfile.mkdtemp(prefix="cc", dir="/tmp"))
    for name in ("w", "s", "state"):
        (root / name).mkdir()
    (root / "state").chmod(0o700)
    config = StartConfig(
        plugin=tool, socket=str(root / "s" / f"{tool}.sock"), control=str(root / "control.sock"), token="t",
        workspace=str(root / "w"), state=str(root / "state"), client=_client(), path=PATH,
    )  # fmt: skip
    supervisor = FakeSupervisor(root / "control.sock")
    if policy is not None:
        greeting: list[Message] = [SetPolicy(policy=policy_hash(policy), text=policy)]
        supervisor.on_hello = lambda _: greeting
    supervisor.start()
    box = Box(root, tool, config, supervisor)
    try:
        yield box
    finally:
        box.close_callers()
        await supervisor.stop()
        shutil.rmtree(root, ignore_errors=True)


def _client() -> str:
    """The real client, as the worker's shim; where it cannot be built, something that always fails."""
    return str(client_binary() or "/bin/false")


@asynccontextmanager
async def plugin_for(
    tool: str, policy: str | None = None, *, plugin: type[Plugin] | None = None
) -> AsyncIterator[Box]:
    """A plugin in this process, healthy, with a policy that allows everything unless one is given."""
    text = POLICY.format(tool=tool) if policy is None else policy
    async with box_for(tool, text) as box:
        process = PluginProcess(box.config, (plugin or plugin_class(tool))(box.config))
        running = asyncio.create_task(process.run())
        try:
            healthy = asyncio.create_task(box.until_healthy())
            await asyncio.wait([healthy, running], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                healthy.cancel()
                running.result()
            await healthy
            assert not box.supervisor.applied[-1].problems
            yield box
        finally:
            process.stop()
            async with asyncio.timeout(WITHIN):
                await running


@asynccontextmanager
async def plugin_process(box: Box) -> AsyncIterator[asyncio.subprocess.Process]:
    """A plugin in a process of its own; it is killed in the end if it still runs."""
    box.supervisor.forget_state()
    start = box.root / "START.json"
    start.write_text(box.config.model_dump_json())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "plugins.base", str(start), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
