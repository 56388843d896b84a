"""A request to the gateway: CONNECT (RFC 9110, section 9.3.6), and nothing else. Pure.

Of a request only three things count: the target, the secret that opens the door, and which command it says it
belongs to, which is believed in nothing. No part of it is passed on to anybody.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from plugins.base.errors import Denied
from plugins.base.policy.hosts import Target, parse_target

LARGEST_HEAD: Final = 16 * 1024  # bytes
END: Final = b"\r\n\r\n"
USER: Final = "claude"  # then a dash and the command's id

_MOST_FIELDS: Final = 64
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]{1,2048}) HTTP/1\.[01]")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
_WEB: Final = re.compile(r"(https?|ftp)://(?:[^/@]*@)?([^/?#@]*)", re.IGNORECASE)


class Refused(Denied):
    """The request gets this status, and a sentence."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        hint: str = "",
        asked: tuple[str, ...] = (),
        command: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.asked = asked  # what to record; (): it is not known to come from the tool
        self.command = command


@dataclass(frozen=True, slots=True)
class Request:
    """What it asks for."""

    target: Target
    command: str  # as it says


def parse(untrusted_head: bytes, capability: str) -> Request:
    """Read everything up to the empty line. Raises `Refused`."""
    method, target, fields = _split(untrusted_head)
    command = _user(fields, capability)
    if method != "CONNECT":
        raise _only_connect(method, target, command)
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        raise Refused(HTTPStatus.BAD_REQUEST, "A CONNECT request has no content.")
    try:
        return Request(parse_target(target), command)
    except ValueError as error:
        raise Refused(
            HTTPStatus.BAD_REQUEST, f"What to connect to {error}.", asked=("connect", target), command=command
        ) from None


def _split(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, target and header fields, all of them strictly in the form of RFC 9112."""
    first, *rest = head.removesuffix(END).split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    found = [_FIELD.fullmatch(each) for each in rest]
    if line is None or len(found) > _MOST_FIELDS:
        raise _unreadable()
    fields: dict[str, str] = {}
    for field in found:
        name = field[1].decode("ascii").lower() if field is not None else ""
        if field is None or name in fields:
            raise _unreadable()
        fields[name] = field[2].decode("latin-1").strip()
    return line[1].decode("ascii"), line[2].decode("ascii"), fields


def _unreadable() -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "This is not a request that can be read.")


def _user(fields: dict[str, str], capability: str) -> str:
    """Check the secret; return which command it says that it is from."""
    scheme, _, given = fields.get("proxy-authorization", "").partition(" ")
    try:
        user, _, secret = base64.b64decode(given.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        user, secret = b"", b""
    if scheme.lower() != "basic" or not hmac.compare_digest(secret, capability.encode()):
        raise Refused(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, "Only the tool that this is for may ask.")
    return user.decode("latin-1").removeprefix(USER).removeprefix("-")


def _only_connect(method: str, target: str, command: str) -> Refused:
    """Plain http would pass through here unsealed; what it asks for beside the host is not written down."""
    web = _WEB.match(target)
    asked = f"{web[1].lower()}://{web[2]}" if web else ""
    return Refused(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"{asked or method} cannot pass: only https does, by a CONNECT request.",
        hint=f"Ask for https://{web[2]} instead." if web else "",
        asked=(method.lower(), asked),
        command=command,
    )
