"""What is sent at the door of the gateway of `network.allow`, to get where the policy does not let it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.escape.egress import CAPABILITY, FAR_NAMES, NAMES, Egress

# This machine, spelled so that a program that looks it up gets here.
SPELLINGS: Final = (
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0x7F.0.0.1", "017700000001", "0177.0.0.1",
    "0177.0.0.01", "127.000.000.001", "127.0.0.2", "0", "0.0.0.0", "0x0", "localhost", "LOCALHOST",
    "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::FFFF:127.0.0.1", "::", "::ffff:0.0.0.0",
)  # fmt: skip
MORE_SPELLINGS: Final = (
    "localhost.",
    "LocalHost.",
    "127.0.0.1.",
    "::1%lo",
    "[::1]",
    "0000:7f00:1",
    "127.0.0.1.nip.io",
)


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes for the door. `ends`: no more comes."""

    name: str
    data: Callable[[Egress], bytes]
    ends: bool = True


def target(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _connects(text: str) -> Callable[[Egress], bytes]:
    """{F}: the port of the server that must not be reached; {A}: of the one that may."""
    return lambda e: e.head(text.format(F=e.forbidden.port, A=e.allowed.port, F2=e.forbidden.port + 65536))


_TARGETS: Final = {
    "a user before": "x@127.0.0.1:{F}",
    "what is allowed as a user": "127.0.0.1:{A}@127.0.0.1:{F}",
    "what is allowed as user and password": "127.0.0.1:{A}:x@127.0.0.1:{F}",
    "what is allowed behind an at": "127.0.0.1:{F}@127.0.0.1:{A}",
    "two ports": "127.0.0.1:{A}:{F}",
    "two ports the other way": "127.0.0.1:{F}:{A}",
    "the port in the path": "127.0.0.1:{A}/:{F}",
    "the port in a fragment": "127.0.0.1:{A}#:{F}",
    "the port in a query": "127.0.0.1:{A}?:{F}",
    "the port behind a backslash": "127.0.0.1:{A}\\:{F}",
    "two hosts": "127.0.0.1:{A},127.0.0.1:{F}",
    "two hosts with a semicolon": "127.0.0.1:{A};127.0.0.1:{F}",
    "percents": "127.0.0.1%3a{F}",
    "a percented name": "%6cocalhost:{F}",
    "a percented NUL": "127.0.0.1:{F}%00.example:443",
    "no port": "127.0.0.1",
    "an empty port": "127.0.0.1:",
    "port 0": "127.0.0.1:0",
    "port 65536": "127.0.0.1:65536",
    "a port that is too large by once around": "127.0.0.1:{F2}",
    "a port with zeros": "127.0.0.1:00{F}",
    "a port with a sign": "127.0.0.1:+{F}",
    "a negative port": "127.0.0.1:-{F}",
    "a port with a point": "127.0.0.1:{F}.0",
    "a port in hex": "127.0.0.1:0x1bb",
    "a service as a port": "127.0.0.1:https",
    "the allowed port of nobody's address": "0.0.0.0:{A}",
    "the allowed port of IPv6": "[::1]:{A}",
    "the allowed port of the mapped address": "[::ffff:127.0.0.1]:{A}",
    "the allowed address in decimal": "2130706433:{A}",
    "brackets about a name": "[localhost]:{F}",
    "brackets about IPv4": "[127.0.0.1]:{F}",
    "half a bracket": "[::1:{F}",
    "more behind the bracket": "[::1]x:{F}",
    "a zone": "[fe80::1%25lo]:{F}",
    "a name below one that is allowed": "x.trick.example:{F}",
    "a name that ends like an allowed one": "evilwild.example:{F}",
    "the wildcard itself": "*.wild.example:{F}",
    "the wildcard's domain": "wild.example:{F}",
    "a dot before an allowed name": ".x.wild.example:{F}",
    "two dots": "x..wild.example:{F}",
    "a name of 300 characters": "x" * 60 + ("." + "x" * 60) * 4 + ".wild.example:{F}",
    "a label of 64 characters": "x" * 64 + ".wild.example:{F}",
    "a name with an underscore and a dash": "-_.wild.example:{F}",
    "xn-- of a fullwidth digit": "xn--1-.0.0.1:{F}",
    "nothing": "{F}",
    "a colon": ":{F}",
    "an asterisk": "*:{F}",
    "a Unix socket": "unix:/run/docker.sock:{F}",
    "a URL": "http://127.0.0.1:{F}/",
    "a URL of what is allowed": "https://127.0.0.1:{A}/",
    "two slashes": "//127.0.0.1:{F}",
}  # fmt: skip
_BYTES: Final[dict[str, Callable[[Egress], bytes]]] = {
    "fullwidth digits": lambda e: e.head("HOST").replace(b"HOST", f"１２７.0.0.1:{e.forbidden.port}".encode()),
    "circled letters": lambda e: e.head("HOST").replace(b"HOST", f"ⓛocalhost:{e.forbidden.port}".encode()),
    "an ideographic full stop": lambda e: e.head("HOST").replace(b"HOST", f"127。0。0。1:{e.forbidden.port}".encode()),
    "a soft hyphen": lambda e: e.head("HOST").replace(b"HOST", f"local\xadhost:{e.forbidden.port}".encode()),
    "bytes that are no text": lambda e: e.head("HOST").replace(b"HOST", b"\xff\xfe:443"),
    "a NUL": lambda e: e.head("HOST").replace(b"HOST", b"127.0.0.1:%d\0:443" % e.forbidden.port),
    "a tab": lambda e: e.head("HOST").replace(b"HOST", b"127.0.0.1:%d\t" % e.allowed.port),
    "a line end": lambda e: e.head("HOST").replace(b"HOST", b"127.0.0.1:%d\r\n127.0.0.1:%d" % (e.allowed.port, e.forbidden.port)),
    "another Host": lambda e: e.honest.replace(b"Host: ", b"Host: 127.0.0.1:%d\r\nX: " % e.forbidden.port),
    "two Hosts": lambda e: e.honest.replace(b"Host: ", b"Host: 127.0.0.1:%d\r\nHost: " % e.forbidden.port),
    "a forwarded host": lambda e: e.head(f"127.0.0.1:{e.allowed.port}", f"X-Forwarded-Host: 127.0.0.1:{e.forbidden.port}", f"Forwarded: host=127.0.0.1:{e.forbidden.port}"),
}  # fmt: skip


def _plain(method: str, url: str) -> Callable[[Egress], bytes]:
    return lambda e: e.head(url.format(F=e.forbidden.port, A=e.allowed.port), method=method)


_METHODS: Final = {
    **{f"{method} of http": _plain(method, "http://127.0.0.1:{F}/")
       for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "PATCH", "connect", "PROPFIND")},
    "GET of http at an allowed host": _plain("GET", "http://127.0.0.1:{A}/"),
    "GET of https": _plain("GET", "https://127.0.0.1:{F}/"),
    "GET of ftp": _plain("GET", "ftp://127.0.0.1:{F}/"),
    "GET of a file": _plain("GET", "file:///etc/passwd"),
    "GET of the gateway": _plain("GET", "/"),
    "OPTIONS of all": _plain("OPTIONS", "*"),
    "an upgrade": lambda e: e.head(f"http://127.0.0.1:{e.forbidden.port}/", "Connection: Upgrade", "Upgrade: h2c", method="GET"),
    "a method that is overridden": lambda e: e.head(f"http://127.0.0.1:{e.forbidden.port}/", "X-HTTP-Method-Override: CONNECT", method="POST"),
}  # fmt: skip


def _again(e: Egress) -> bytes:
    return e.head(f"127.0.0.1:{e.forbidden.port}")


_SMUGGLED: Final[dict[str, Callable[[Egress], bytes]]] = {
    "a second request in the tunnel": lambda e: e.honest + _again(e),
    "a second request behind a refused one": lambda e: _again(e) + e.honest + _again(e),
    "a second request behind plain http": lambda e: _plain("GET", "http://127.0.0.1:{A}/")(e) + _again(e),
    "a request as content": lambda e: e.head(f"127.0.0.1:{e.allowed.port}", f"Content-Length: {len(_again(e))}") + _again(e),
    "a request as chunks": lambda e: e.head(f"127.0.0.1:{e.allowed.port}", "Transfer-Encoding: chunked") + b"%x\r\n" % len(_again(e)) + _again(e),
    "content of no length, then a request": lambda e: e.head(f"127.0.0.1:{e.allowed.port}", "Content-Length: 0") + _again(e),
    "bare line ends": lambda e: e.honest.replace(b"\r\n", b"\n") + _again(e),
    "bare carriage returns": lambda e: e.honest.replace(b"\r\n", b"\r") + b"\r\n\r\n",
    "an empty line first": lambda e: b"\r\n" + _again(e),
    "a folded field": lambda e: e.head(f"127.0.0.1:{e.allowed.port}", "X: y", f" Host: 127.0.0.1:{e.forbidden.port}"),
    "keep-alive": lambda e: e.head(f"127.0.0.1:{e.forbidden.port}", "Proxy-Connection: keep-alive") * 3,
}  # fmt: skip


def _basic(text: bytes) -> str:
    return f"Proxy-Authorization: Basic {base64.b64encode(text).decode()}"


def with_field(field: str) -> Callable[[Egress], bytes]:
    return lambda e: f"CONNECT 127.0.0.1:{e.allowed.port} HTTP/1.1\r\n{field}\r\n\r\n".encode()


# All of these ask for what is allowed, without the right to.
STRANGERS: Final = {
    "nothing": "X: y",
    "no password": _basic(b"claude"),
    "an empty password": _basic(b"claude:"),
    "a guess": _basic(b"claude:guess"),
    "the beginning of the capability": _basic(b"claude:" + CAPABILITY[:-1].encode()),
    "the capability and more": _basic(b"claude:" + CAPABILITY.encode() + b"x"),
    "the capability in capitals": _basic(b"claude:" + CAPABILITY.upper().encode()),
    "the capability as a user": _basic(CAPABILITY.encode() + b":"),
    "the capability behind a NUL": _basic(b"claude:\0" + CAPABILITY.encode()),
    "bytes that are no text": _basic(b"claude:\xff\xfe"),
    "no base64": "Proxy-Authorization: Basic !!!!",
    "base64 with spaces": "Proxy-Authorization: Basic Y2xh dWRl",
    "another scheme": f"Proxy-Authorization: Bearer {CAPABILITY}",
    "another field": f"Authorization{_basic(b'claude:' + CAPABILITY.encode()).removeprefix('Proxy-Authorization')}",
    "a cookie": f"Cookie: {CAPABILITY}",
    "two of them": f"{_basic(b'claude:guess')}\r\n{_basic(b'claude:' + CAPABILITY.encode())}",
}
_PROTOCOLS: Final[dict[str, Callable[[Egress], bytes]]] = {
    "SOCKS 4": lambda e: b"\x04\x01" + e.forbidden.port.to_bytes(2, "big") + b"\x7f\0\0\x01x\0",
    "SOCKS 5": lambda e: b"\x05\x01\0\x05\x01\0\x01\x7f\0\0\x01" + e.forbidden.port.to_bytes(2, "big"),
    "the PROXY protocol": lambda e: b"PROXY TCP4 127.0.0.1 127.0.0.1 1 %d\r\n" % e.forbidden.port + _again(e),
    "HTTP/0.9": lambda e: b"GET http://127.0.0.1:%d/\r\n\r\n" % e.forbidden.port,
    "HTTP/2": lambda e: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(200),
    "HTTP/3.7": lambda e: _again(e).replace(b"HTTP/1.1", b"HTTP/3.7"),
    "TLS": lambda e: b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500),
    "noise": lambda e: bytes(range(256)) * 1000,
    "nothing": lambda e: b"",
    "line ends alone": lambda e: b"\r\n" * 5000,
    "a field of 100 KB": lambda e: e.head(f"127.0.0.1:{e.allowed.port}", "X: " + "y" * 100_000),
    "10000 fields": lambda e: e.head(f"127.0.0.1:{e.allowed.port}", *(f"X{number}: y" for number in range(10_000))),
    "65 fields": lambda e: e.head(f"127.0.0.1:{e.allowed.port}", *(f"X{number}: y" for number in range(65))),
    "a target of 100 KB": lambda e: e.head("x" * 100_000 + ":443"),
    "a head without end": lambda e: b"CONNECT " + b"x" * 2_000_000,
    "a head that is cut off": lambda e: _again(e)[:-1],
    "a field without a name": lambda e: e.head(f"127.0.0.1:{e.forbidden.port}", ": x"),
    "a field without a colon": lambda e: e.head(f"127.0.0.1:{e.forbidden.port}", "x"),
    "a field with a NUL": lambda e: e.head(f"127.0.0.1:{e.forbidden.port}", "X: a\0b"),
    "a space before the colon": lambda e: e.head(f"127.0.0.1:{e.forbidden.port}", "X : a"),
}  # fmt: skip

REQUESTS: Final = [
    *(Raw(f"to {host}", lambda e, host=host: e.head(target(host, e.forbidden.port)))  # type: ignore[misc]
      for host in (*SPELLINGS, *MORE_SPELLINGS, *NAMES, *FAR_NAMES)),
    *(Raw(name, _connects(text)) for name, text in _TARGETS.items()),
    *(Raw(name, data)
      for table in (_BYTES, _METHODS, _SMUGGLED, _PROTOCOLS) for name, data in table.items()),
]  # fmt: skip
