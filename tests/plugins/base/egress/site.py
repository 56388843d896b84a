"""The gateway in this process, with a supervisor's place taken by the test, clients, and servers to reach."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from plugins.base.control import StartConfig
from plugins.base.egress.main import EgressGateway
from tests.plugins.base.harness import box_for
from tests.plugins.base.supervisor import WITHIN, FakeSupervisor
from tests.upstream import free_port

SECRET = "capability"
COMMAND = "a" * 32
POLICY = """\
plugin: npm
version: 1
network: {{allow: [{allow}]}}
rules: {{}}
approvals: {{on_block: {on_block}, hold_seconds: 60}}
"""


@dataclass
class Site:
    supervisor: FakeSupervisor
    gateway: EgressGateway
    port: int
    clients: list[Client] = field(default_factory=list)

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def request(self, target: str, *, secret: str = SECRET, method: str = "CONNECT") -> Client:
        """Ask, without waiting for the answer."""
        client = await self.connect()
        token = base64.b64encode(f"claude-{COMMAND}:{secret}".encode()).decode()
        fields = f"Host: {target}\r\nProxy-Authorization: Basic {token}\r\n"
        client.writer.write(f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode())
        return client

    async def answer(self, target: str, **more: str) -> str:
        return await (await self.request(target, **more)).answer()

    async def put(self, allow: str, on_block: str = "refuse") -> None:
        applied = await self.supervisor.set_policy(POLICY.format(allow=allow, on_block=on_block))
        assert not applied.problems


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> str:
        async with asyncio.timeout(WITHIN):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def rest(self) -> bytes:
        """What comes until the end, whatever end that is."""
        async with asyncio.timeout(WITHIN):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def site_for(allow: str, on_block: str = "refuse") -> AsyncIterator[Site]:
    policy = POLICY.format(allow=allow, on_block=on_block)
    async with box_for("npm", policy) as box:
        port = free_port()
        config: StartConfig = box.config.model_copy(
            update={"plugin": "npm-gateway", "gateway": f"http://127.0.0.1:{port}/{SECRET}"}
        )
        gateway = EgressGateway(config)
        running = asyncio.create_task(gateway.run())
        await box.until_healthy()
        site = Site(box.supervisor, gateway, port)
        try:
            yield site
        finally:
            for client in site.clients:
                await client.close()
            gateway.stop()
            async with asyncio.timeout(WITHIN):
                await running


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says what it was told, once that was all; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"said:" + await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def talk() -> AsyncIterator[int]:
    """A server that echoes every piece, for as long as it is spoken to."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
