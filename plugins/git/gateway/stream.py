"""The gateway's second door, for remotes that git does not reach by HTTP: ssh URLs and local paths.

A shim in the worker stands in for ssh and for the programs of a local remote. It connects here, sends
one line (`CAPABILITY COMMAND SERVICE SCHEME REST`), and from then on git's own stateful protocol runs
both ways. What is asked for is judged exactly as over HTTP; only protocol v2 is spoken for fetching.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from plugins.base.errors import ClaudeContainerError, Denied, ProtocolError
from plugins.base.text import printable
from plugins.git.gateway.history import after_banner, reader_of
from plugins.git.gateway.pack_stream import drain, impatient, limited
from plugins.git.gateway.pktline import Line, Reader, Special, encode
from plugins.git.gateway.push import Pushes, advertised
from plugins.git.gateway.receive_pack import encode_advertisement
from plugins.git.gateway.server import PATIENCE, Asked, Remotes, record
from plugins.git.gateway.upstream import RECEIVE_PACK, SERVICES, UPLOAD_PACK, Body, RemoteRefused, Upstream

log = logging.getLogger(__name__)

_AGENT: Final = "git/claude-container"
_V2: Final = "version=2"
_LONGEST_HEAD: Final = 16 << 10
_HEAD_WITHIN: Final = 10.0  # seconds
_LONGEST_REQUEST: Final = 64 << 20
_CHUNK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a connection."""

    capability: str
    command: str
    service: str
    scheme: str
    rest: str


@dataclass(frozen=True, slots=True)
class StreamServer:
    """Serves connections of the shim."""

    capability: str
    remotes: Remotes
    pushes: Pushes
    patience: float = PATIENCE  # seconds without a byte of a push

    async def serve(self, client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first line to its end. For `asyncio.start_server`."""
        try:
            await self._converse(client, writer)
        except ClaudeContainerError as error:
            text = f"{error.message} {error.hint}".strip()
            with suppress(ConnectionError):
                writer.write(encode(f"ERR {text}".encode()[:60000]))
                await writer.drain()
        except (ConnectionError, TimeoutError):
            log.debug("A connection of the shim broke off.")
        finally:
            writer.close()

    async def _converse(self, client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await self._head(client)
        try:
            await self._serve(head, client, writer)
        except ClaudeContainerError as error:
            record(self.remotes, Asked(head.command, head.service, head.scheme, head.rest), error)
            raise

    async def _serve(self, head: Head, client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.service not in SERVICES or printable(head.rest) != head.rest:
            raise RemoteRefused("This is not a remote that can be used.")

        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        async def read() -> bytes:
            return await client.read(_CHUNK)

        if head.service == RECEIVE_PACK:
            upstream = self.remotes.for_push(head.scheme, head.rest)
            await send(encode_advertisement(await advertised(upstream), _AGENT))
            reader = Reader(limited(impatient(read, self.patience), self.pushes.max_pack_bytes()))
            if not await reader.at_end():
                await self.pushes.receive(upstream, reader, send, self.remotes.judge(head.command))
                await drain(read)
        else:
            await _fetch(self.remotes.for_fetch(head.scheme, head.rest), Reader(read), writer)

    async def _head(self, client: asyncio.StreamReader) -> Head:
        try:
            async with asyncio.timeout(_HEAD_WITHIN):
                line = await client.readline()
        except ValueError:  # longer than the stream's buffer
            line = b""
        words = line.decode("utf-8", "replace").rstrip("\n").split(" ", 4)
        if len(words) != 5 or len(line) > _LONGEST_HEAD:
            raise ProtocolError("This is not how the gateway is spoken to.")
        head = Head(*words)
        if not hmac.compare_digest(head.capability.encode(), self.capability.encode()):
            raise Denied("This is not how the gateway is spoken to.")
        return head


async def _fetch(upstream: Upstream, reader: Reader, writer: asyncio.StreamWriter) -> None:
    """Offer what the remote offers, then pass request after request on, each with its whole answer."""
    await _offer(upstream, writer)
    while not await reader.at_end():
        request = await _one_request(reader)
        if request == Special.FLUSH.value:
            return
        body = Body(_once(request), len(request))
        async with upstream.request(UPLOAD_PACK, body, _V2) as chunks:
            async for chunk in chunks:
                writer.write(chunk)
                await writer.drain()


async def _offer(upstream: Upstream, writer: asyncio.StreamWriter) -> None:
    async with upstream.advertise(UPLOAD_PACK, _V2) as chunks:
        reader = reader_of(chunks)
        line = await after_banner(reader)
        if line != b"version 2\n":
            raise Denied(f"{upstream.url} does not speak version 2 of git's protocol.")
        while line is not Special.FLUSH:
            writer.write(_encoded(line))
            line = await reader.line()
        writer.write(Special.FLUSH.value)
        await writer.drain()


async def _one_request(reader: Reader) -> bytes:
    """The lines of one request, up to its flush."""
    data = bytearray()
    while True:
        line = await reader.line()
        data += _encoded(line)
        if len(data) > _LONGEST_REQUEST:
            raise ProtocolError("A fetch asks for too much at once.")
        if line is Special.FLUSH:
            return bytes(data)


def _encoded(line: Line) -> bytes:
    return line.value if isinstance(line, Special) else encode(line)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
