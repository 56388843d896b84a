"""What is a request to the gateway, and what is answered to everything else."""

from __future__ import annotations

import base64
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.egress.request import Refused, Request, parse
from plugins.base.policy.hosts import Target

SECRET = "capability"
COMMAND = "0" * 32


def auth(text: str) -> str:
    return f"Proxy-Authorization: Basic {base64.b64encode(text.encode()).decode()}\r\n"


OURS = auth(f"claude-{COMMAND}:{SECRET}")


def head(line: str = "CONNECT a.example:443 HTTP/1.1", fields: str = OURS) -> bytes:
    return f"{line}\r\n{fields}\r\n".encode("latin-1")


def test_a_request_says_where_to_and_from_which_command() -> None:
    more = "Host: elsewhere\r\nproxy-connection: Keep-Alive\r\nUser-Agent: npm/1 (x; y)\r\n"
    assert parse(head("CONNECT A.example:443 HTTP/1.1", more + OURS), SECRET) == Request(
        Target("a.example", 443), COMMAND
    )


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head(fields=""), HTTPStatus.PROXY_AUTHENTICATION_REQUIRED),
        (head(fields=auth("claude:other")), HTTPStatus.PROXY_AUTHENTICATION_REQUIRED),
        (head(fields=auth("claude:")), HTTPStatus.PROXY_AUTHENTICATION_REQUIRED),
        (head(fields="Proxy-Authorization: Basic !!\r\n"), HTTPStatus.PROXY_AUTHENTICATION_REQUIRED),
        (head(fields=f"Proxy-Authorization: Bearer {SECRET}\r\n"), HTTPStatus.PROXY_AUTHENTICATION_REQUIRED),
        (head("GET http://a.example/ HTTP/1.1", ""), HTTPStatus.PROXY_AUTHENTICATION_REQUIRED),
        (head("GET http://a.example/ HTTP/1.1"), HTTPStatus.METHOD_NOT_ALLOWED),
        (head("GET / HTTP/1.1"), HTTPStatus.METHOD_NOT_ALLOWED),
        (head("connect a.example:443 HTTP/1.1"), HTTPStatus.METHOD_NOT_ALLOWED),
        (head("CONNECT a.example HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head("CONNECT u@a.example:443 HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head("CONNECT https://a.example:443 HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head("CONNECT  a.example:443 HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head("CONNECT a.example:443 HTTP/2.0"), HTTPStatus.BAD_REQUEST),
        (head("CONNECT a.example:443"), HTTPStatus.BAD_REQUEST),
        (head(fields=OURS + "Content-Length: 5\r\n"), HTTPStatus.BAD_REQUEST),
        (head(fields=OURS + "Transfer-Encoding: chunked\r\n"), HTTPStatus.BAD_REQUEST),
        (head(fields=OURS + OURS), HTTPStatus.BAD_REQUEST),
        (head(fields=OURS + " folded\r\n"), HTTPStatus.BAD_REQUEST),
        (head(fields=OURS + "a : b\r\n"), HTTPStatus.BAD_REQUEST),
        (head(fields=OURS + "a: b\nc: d\r\n"), HTTPStatus.BAD_REQUEST),
        (head(fields=OURS + "".join(f"x{n}: 1\r\n" for n in range(64))), HTTPStatus.BAD_REQUEST),
    ],
)
def test_everything_else_is_refused(request_head: bytes, status: HTTPStatus) -> None:
    with pytest.raises(Refused) as caught:
        parse(request_head, SECRET)
    assert caught.value.status is status
    assert bool(caught.value.asked) <= (OURS.encode() in request_head)  # strangers do not fill the log


def test_of_plain_http_only_the_host_is_written_down() -> None:
    with pytest.raises(Refused) as caught:
        parse(head("GET http://u:p@a.example:80/secret?x=y HTTP/1.1"), SECRET)
    assert caught.value.asked == ("get", "http://a.example:80")
    assert caught.value.command == COMMAND


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        parse(data + b"\r\n\r\n", SECRET)
