"""The gateway's inner side: smart HTTP (gitprotocol-http(5)) for the git in the worker.

A URL is /CAPABILITY/COMMAND/SCHEME/REST: the capability is a secret of this start that keeps other
users of the machine out; the command's id links audit rows and proves nothing; scheme and rest are
the real remote. Whoever gets here may be hostile: policy is applied to what is asked, not to who asks.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from plugins.base.errors import ClaudeContainerError, Denied, ProtocolError
from plugins.base.text import printable
from plugins.git.gateway.pack_stream import drain, gunzipped, impatient, limited
from plugins.git.gateway.pktline import Reader, Special, encode
from plugins.git.gateway.push import Judge, Pushes, advertised
from plugins.git.gateway.receive_pack import encode_advertisement
from plugins.git.gateway.upstream import RECEIVE_PACK, SERVICES, UPLOAD_PACK, Body, RemoteRefused, Upstream

_AGENT: Final = "git/claude-container"
_PROTOCOL: Final = re.compile(r"version=[0-2](:[\w=.-]{1,64}){0,4}")
_MAX_FETCH_REQUEST: Final = 64 << 20  # bytes; wants and haves of a very large repository
PATIENCE: Final = 300.0
_AT_ONCE: Final = 1 << 20  # bytes of a body that wait to be read
_NO_CACHE: Final = {"Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks of the gateway; nothing of it is believed."""

    command: str
    service: str
    scheme: str
    rest: str


class Remotes(Protocol):
    """Which remotes there are, and who judges pushes to them."""

    def for_fetch(self, scheme: str, rest: str) -> Upstream:
        """Raises `Denied` when policy does not allow it."""

    def for_push(self, scheme: str, rest: str) -> Upstream: ...

    def judge(self, command: str) -> Judge: ...

    def refused(self, asked: Asked, error: Denied) -> None:
        """Record what is refused before a judge sees it. Raises `SpoolError`: it is refused all the same."""


@dataclass(frozen=True, slots=True)
class Server:
    """The application. `capability` is the secret first part of every path."""

    capability: str
    remotes: Remotes
    pushes: Pushes
    patience: float = PATIENCE  # seconds without a byte of a push

    def runner(self) -> web.AppRunner:
        """The application, ready to be set up. Bodies stay as they come: what is gzipped is undone here."""
        logger = logging.getLogger(__name__)
        logger.addFilter(_is_ours)
        return web.AppRunner(
            self.application(),
            access_log=None,
            logger=logger,
            handler_cancellation=True,
            auto_decompress=False,
            read_bufsize=_AT_ONCE,
        )

    def application(self) -> web.Application:
        app = web.Application(client_max_size=0)
        prefix = "/{capability}/{command}/{scheme}/{rest:.+}"
        app.router.add_get(prefix + "/info/refs", self._guarded(self._info_refs))
        app.router.add_post(prefix + f"/{UPLOAD_PACK}", self._guarded(self._upload_pack))
        app.router.add_post(prefix + f"/{RECEIVE_PACK}", self._guarded(self._receive_pack))
        return app

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.match_info["capability"].encode("utf-8", "replace")
            if not hmac.compare_digest(given, self.capability.encode()):
                raise web.HTTPNotFound(text="not found\n")
            try:
                return await handler(request)
            except ConnectionError:  # the client went away: nobody is left to be told
                return web.Response()

        return guarded

    async def _info_refs(self, request: web.Request) -> web.StreamResponse:
        service = request.query.get("service", "")
        if service not in SERVICES:
            raise web.HTTPForbidden(text="Only smart HTTP is spoken here.\n")
        response = _response(f"application/x-{service}-advertisement")
        try:
            if service == RECEIVE_PACK:
                await self._offer_push(request, response)
            else:
                await self._offer_fetch(request, response)
        except ClaudeContainerError as error:
            await self._refuse(request, response, error, service, banner=_banner(service))
        return response

    async def _offer_push(self, request: web.Request, response: web.StreamResponse) -> None:
        upstream = self.remotes.for_push(*_target(request))
        advertisement = await advertised(upstream)
        await response.prepare(request)
        await response.write(_banner(RECEIVE_PACK) + encode_advertisement(advertisement, _AGENT))
        await response.write_eof()

    async def _offer_fetch(self, request: web.Request, response: web.StreamResponse) -> None:
        upstream = self.remotes.for_fetch(*_target(request))
        async with upstream.advertise(UPLOAD_PACK, _protocol(request)) as chunks:
            await _relay(request, response, chunks)

    async def _upload_pack(self, request: web.Request) -> web.StreamResponse:
        response = _response(f"application/x-{UPLOAD_PACK}-result")
        try:
            upstream = self.remotes.for_fetch(*_target(request))
            read = limited(request.content.readany, _MAX_FETCH_REQUEST)
            body = Body(_chunks(read), request.content_length, gzip=_gzip(request))
            async with upstream.request(UPLOAD_PACK, body, _protocol(request)) as chunks:
                await _relay(request, response, chunks)
        except ClaudeContainerError as error:
            await self._refuse(request, response, error, UPLOAD_PACK)
        return response

    async def _receive_pack(self, request: web.Request) -> web.StreamResponse:
        response = _response(f"application/x-{RECEIVE_PACK}-result")

        async def send(data: bytes) -> None:
            if not response.prepared:
                await response.prepare(request)
            await response.write(data)

        try:
            upstream = self.remotes.for_push(*_target(request))
            read = impatient(request.content.readany, self.patience)
            plain = gunzipped(read) if _gzip(request) else read
            reader = Reader(limited(plain, self.pushes.max_pack_bytes()))
            judge = self.remotes.judge(request.match_info["command"])
            await self.pushes.receive(upstream, reader, send, judge)
            await send(b"")
            await drain(request.content.readany)
            await response.write_eof()
        except ClaudeContainerError as error:
            await self._refuse(request, response, error, RECEIVE_PACK)
        return response

    async def _refuse(
        self, request: web.Request, response: web.StreamResponse, error: ClaudeContainerError, service: str,
        *, banner: bytes = b"",
    ) -> None:  # fmt: skip
        """Write it down, and say why in git's own way: an ERR line, which git shows as `remote error:`."""
        error = self._recorded(request, error, service)
        if response.prepared:
            # Too late for a clean word: the client must not take what it has for all of it.
            if request.transport is not None:
                request.transport.abort()
            return
        text = f"{error.message} {error.hint}".strip()
        await response.prepare(request)
        await response.write(banner + encode(f"ERR {text}".encode()[:60000]))
        await response.write_eof()

    def _recorded(
        self, request: web.Request, error: ClaudeContainerError, service: str
    ) -> ClaudeContainerError:
        told = request.match_info
        try:
            record(self.remotes, Asked(told["command"], service, told["scheme"], told["rest"]), error)
        except ClaudeContainerError as worse:
            return worse
        return error


def record(remotes: Remotes, asked: Asked, error: ClaudeContainerError) -> None:
    """Record a refusal; that a remote fails is none. Raises `SpoolError`."""
    if isinstance(error, RemoteRefused | ProtocolError):
        remotes.refused(asked, error)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a complaint is about us: anybody can send what is not HTTP, and would fill the log with it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _target(request: web.Request) -> tuple[str, str]:
    scheme, rest = request.match_info["scheme"], request.match_info["rest"]
    if scheme not in ("https", "http", "file") or printable(rest) != rest or ".." in rest.split("/"):
        raise RemoteRefused("This is not a remote that can be used.")
    return scheme, rest


def _protocol(request: web.Request) -> str:
    value = request.headers.get("Git-Protocol", "")
    return value if _PROTOCOL.fullmatch(value) else ""


def _gzip(request: web.Request) -> bool:
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise ProtocolError("A request has a content encoding that is not spoken here.")
    return encoding != "identity"


def _response(content_type: str) -> web.StreamResponse:
    return web.StreamResponse(headers={"Content-Type": content_type, **_NO_CACHE})


def _banner(service: str) -> bytes:
    return encode(f"# service={service}\n".encode()) + Special.FLUSH.value


async def _relay(request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        if not response.prepared:
            await response.prepare(request)
        await response.write(chunk)
    if not response.prepared:
        await response.prepare(request)
    await response.write_eof()


async def _chunks(read: Callable[[], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    while chunk := await read():
        yield chunk
