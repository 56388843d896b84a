"""How the gateway says no: in HTTP, for tools that show it. The connection is over then."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from plugins.base.egress.judge import ConnectionRefused
from plugins.base.egress.lookup import NoSuchHost
from plugins.base.egress.request import Refused
from plugins.base.egress.tunnel import CHUNK, Side
from plugins.base.errors import ClaudeContainerError
from plugins.base.refusal import error_text
from plugins.base.text import printable

_LONGEST_PHRASE: Final = 300  # characters
_WITHIN: Final = 5.0  # seconds for the tool to take it
_FIELDS: Final = {
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: ('Proxy-Authenticate: Basic realm="claude-container"',),
    HTTPStatus.METHOD_NOT_ALLOWED: ("Allow: CONNECT",),
}


@dataclass(frozen=True, slots=True)
class No:
    """In one line, for tools that show that much, and as any refusal is written."""

    status: HTTPStatus
    line: str
    text: str


def no(error: ClaudeContainerError) -> No:
    """What to say of an error."""
    match error:
        case ConnectionRefused():
            return No(HTTPStatus.FORBIDDEN, error.line, error.text)
        case Refused():
            status = error.status
        case NoSuchHost():
            status = HTTPStatus.BAD_GATEWAY
        case _:  # it cannot be recorded
            status = HTTPStatus.SERVICE_UNAVAILABLE
    return No(status, error.message, error_text(error.message, error.hint))


async def answer(tool: Side, refusal: No) -> None:
    """Say it, and wait until it was taken, but not for long."""
    tool.writer.write(_response(refusal))
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_WITHIN):
            tool.writer.write_eof()
            await tool.writer.drain()
            while await tool.reader.read(CHUNK):  # what was sent beside must not turn the answer into a reset
                pass


def _response(refusal: No) -> bytes:
    phrase = printable(refusal.line)[:_LONGEST_PHRASE].encode("ascii", "replace").decode()
    body = refusal.text.encode()
    lines = [
        f"HTTP/1.1 {refusal.status.value} {phrase}", "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}", "Connection: close", *_FIELDS.get(refusal.status, ()),
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
