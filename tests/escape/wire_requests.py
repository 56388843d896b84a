"""What else is sent at the gateway's doors: requests that are not HTTP, not git's, or not allowed.

Most of them carry a push of main, so that there is something to see should one pass.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.escape.wire import CAPABILITY, OTHER, PROJECT, ZERO, Wire, line, push
from tests.escape.wire_pushes import MINE, mine, onto_main

UPLOAD: Final = "git-upload-pack"
_BOMB: Final[bytes] = gzip.compress(bytes(1 << 20), 1) * 1024  # members of one stream


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes for one of the doors. `ends`: they are cut off, and the sender goes away."""

    name: str
    data: Callable[[Wire], bytes]
    ends: bool = False


# ---------------------------------------------------------------- HTTP

Request = Callable[[Wire], bytes]


def _sends(*headers: str) -> Request:
    """Pushes main, with these headers."""
    return lambda w: w.post(onto_main(w), *headers)


def _chunked(w: Wire) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(onto_main(w)), onto_main(w))


def _sends_chunked(*headers: str) -> Request:
    return lambda w: w.post(_chunked(w), *headers)


def _compressed(compress: Callable[[bytes], bytes], encoding: str) -> Request:
    return lambda w: w.post(compress(onto_main(w)), f"Content-Encoding: {encoding}")


def _smuggled(w: Wire) -> bytes:
    """A request within the body of another, for whoever believes the wrong length."""
    inner = w.post(onto_main(w))
    return w.post(b"0\r\n\r\n" + inner, "Content-Length: 5", service=UPLOAD)


def _asks(path: Callable[[Wire], str], *headers: str, service: str = "git-receive-pack") -> Request:
    return lambda w: w.get(f"{path(w)}/info/refs?service={service}", *headers)


def _gets(suffix: str, method: str = "GET") -> Request:
    return lambda w: w.get(w.path() + suffix, method=method)


def _pushes_to(path: Callable[[Wire], str]) -> Request:
    return lambda w: w.post(onto_main(w), path=path(w))


def _lines(*lines: bytes) -> Request:
    return lambda w: b"\r\n".join(lines) % {b"path": w.path().encode()} + b"\r\n\r\n"


def _host(w: Wire, host: str) -> str:
    return f"/{CAPABILITY}/-/http/{host}:{w.remote.port}/git/{PROJECT}"


_ENCODINGS: Final = {
    "main, gzipped": _compressed(gzip.compress, "gzip"),
    "main, gzipped by its other name": _compressed(gzip.compress, "x-gzip"),
    "main, gzipped in capitals": _compressed(gzip.compress, "GZIP"),
    "main, gzipped twice": _compressed(lambda data: gzip.compress(gzip.compress(data)), "gzip, gzip"),
    "main, said to be gzipped": _compressed(lambda data: data, "gzip"),
    "main, deflated": _compressed(zlib.compress, "deflate"),
    "main, in an unknown encoding": _compressed(lambda data: data, "br"),
    "gzip that is cut off": lambda w: w.post(gzip.compress(onto_main(w))[:-20], "Content-Encoding: gzip"),
    "gzip that becomes many commands": lambda w: w.post(
        gzip.compress(line(b"x" * 60_000) * 5000), "Content-Encoding: gzip"
    ),
    "gzip that becomes a gigabyte of nothing": lambda w: w.post(_BOMB, "Content-Encoding: gzip"),
    "gzip for a fetch": lambda w: w.post(_BOMB, "Content-Encoding: gzip", service=UPLOAD),
}
_LENGTHS_OF_BODIES: Final = {
    "chunked": _sends_chunked("Transfer-Encoding: chunked"),
    "chunked and a length": _sends_chunked("Transfer-Encoding: chunked", "Content-Length: 4"),
    "a length and chunked": _sends_chunked("Content-Length: 4", "Transfer-Encoding: chunked"),
    "chunked twice": _sends_chunked("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "chunked by another name": _sends_chunked("Transfer-Encoding: xchunked"),
    "chunked, then not": _sends_chunked("Transfer-Encoding: chunked, identity"),
    "chunked with a space": _sends_chunked("Transfer-Encoding : chunked"),
    "chunked with a tab": _sends_chunked("Transfer-Encoding:\tchunked"),
    "chunked on a second line": _sends_chunked("Transfer-Encoding:", " chunked"),
    "two lengths": lambda w: w.post(onto_main(w), "Content-Length: 4", f"Content-Length: {len(onto_main(w))}"),
    "a negative length": _sends("Content-Length: -1"),
    "a length with a sign": _sends("Content-Length: +4"),
    "a length in hex": _sends("Content-Length: 0x40"),
    "a length that is too short": _sends("Content-Length: 4"),
    "a length beyond everything": _sends("Content-Length: 99999999999999999999999"),
    "chunks with a negative length": lambda w: w.post(b"-1\r\n" + _chunked(w), "Transfer-Encoding: chunked"),
    "chunks of an endless length": lambda w: w.post(b"f" * 40 + b"\r\nx", "Transfer-Encoding: chunked"),
    "chunks without their ends": lambda w: w.post(_chunked(w).replace(b"\r\n", b""), "Transfer-Encoding: chunked"),
    "chunks with headers behind": lambda w: w.post(
        _chunked(w)[:-2] + b"Authorization: Basic eDp5\r\n\r\n", "Transfer-Encoding: chunked"
    ),
    "a request within a request": _smuggled,
    "two requests at once": lambda w: _asks(Wire.path)(w).replace(b"close", b"keep-alive") + _sends()(w),
    "a push behind a refused one": lambda w: _sends()(w).replace(b"close", b"keep-alive") + _sends()(w),
}  # fmt: skip
_VERSIONS: Final = {
    "HTTP/1.0": lambda w: _sends()(w).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/0.9": lambda w: f"GET {w.path()}/info/refs?service=git-receive-pack\r\n\r\n".encode(),
    "HTTP/2": lambda w: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(200),
    "HTTP/3.7": lambda w: _sends()(w).replace(b"HTTP/1.1", b"HTTP/3.7"),
    "TLS": lambda w: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "the absolute form": lambda w: w.post(onto_main(w), path="http://github.com" + w.path()),
    "the absolute form of the remote": lambda w: w.post(onto_main(w), path=w.remote.url(PROJECT)),
    "a tunnel": lambda w: w.get(f"127.0.0.1:{w.remote.port}", method="CONNECT"),
    "an asterisk": lambda w: w.get("*", method="OPTIONS"),
    "an upgrade": _asks(Wire.path, "Upgrade: websocket", "Sec-WebSocket-Key: eA=="),
    "an upgrade to HTTP/2": _asks(Wire.path, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "bare line ends": lambda w: _sends()(w).replace(b"\r\n", b"\n"),
    "no Host": lambda w: _sends()(w).replace(b"Host:", b"Hist:"),
    "another Host": lambda w: _sends()(w).replace(b"Host: 127", b"Host: github.com\r\nX-Host: 127"),
    "two Hosts": _sends("Host: github.com"),
}
_HEADERS: Final = {
    "a continuation": _sends("Expect: 100-continue"),
    "another expectation": _sends("Expect: miracles"),
    "an Authorization": _sends("Authorization: Basic eC1hY2Nlc3MtdG9rZW46eA=="),
    "a Proxy-Authorization": _sends("Proxy-Authorization: Basic eDp5"),
    "forwarding headers": _sends("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: x", "Forwarded: for=127.0.0.1"),
    "another method, overridden": _sends("X-HTTP-Method-Override: GET"),
    "a rewritten URL": _sends("X-Original-URL: /", "X-Rewrite-URL: /"),
    "a cookie": _sends("Cookie: a=b"),
    "another content type": lambda w: _sends()(w).replace(b"x-git-receive-pack-request", b"x-git-upload-pack-request"),
    "another protocol version": _sends("Git-Protocol: version=1"),
    "a strange protocol version": _sends("Git-Protocol: version=2:\x0bx=" + "y" * 4000),
    "a header of 100 KB": _sends("X: " + "y" * 100_000),
    "10000 headers": _sends(*(f"X{number}: y" for number in range(10_000))),
    "a header with a NUL": _sends("X: a\0b"),
    "a header without a name": _sends(": x"),
    "a header without a colon": _sends("Authorization"),
    "a folded header": _sends("X: y", " Authorization: Basic eDp5"),
}  # fmt: skip
_PATHS: Final[dict[str, Callable[[Wire], str]]] = {
    "another repository": lambda w: w.path(OTHER),
    "another repository by ..": lambda w: w.path(f"{PROJECT}/../other.git"),
    "another repository by %2e%2e": lambda w: w.path(f"{PROJECT}/%2e%2e/other.git"),
    "another repository by %252e": lambda w: w.path(f"{PROJECT}/%252e%252e/other.git"),
    "another repository by %2f": lambda w: w.path(f"{PROJECT}%2f..%2fother.git"),
    "another repository by a backslash": lambda w: w.path(f"{PROJECT}\\..\\other.git"),
    "another repository by ;": lambda w: w.path(f"{PROJECT};/../other.git"),
    "another repository behind ?": lambda w: w.path(f"other.git%3f{PROJECT}"),
    "another repository behind #": lambda w: w.path(f"other.git%23{PROJECT}"),
    "another repository behind NUL": lambda w: w.path(f"other.git%00{PROJECT}"),
    "another repository behind a line end": lambda w: w.path(f"other.git%0d%0aX:%20{PROJECT}"),
    "two slashes": lambda w: w.path(f"/{PROJECT}"),
    "a dot": lambda w: w.path(f"./{PROJECT}"),
    "more behind the repository": lambda w: w.path(f"{PROJECT}/refs/heads"),
    "capitals": lambda w: w.path(PROJECT.upper()),
    "the whole server": lambda w: w.path(""),
    "the remote by name": lambda w: _host(w, "localhost"),
    "the remote by a short address": lambda w: _host(w, "127.1"),
    "the remote by no address": lambda w: _host(w, "0.0.0.0"),
    "the remote by a number": lambda w: _host(w, "2130706433"),
    "the remote by IPv6": lambda w: _host(w, "[::ffff:127.0.0.1]"),
    "the remote with a user": lambda w: _host(w, "x:y@127.0.0.1"),
    "another host before an at": lambda w: (
        f"/{CAPABILITY}/-/http/127.0.0.1:{w.remote.port}@github.com/git/{PROJECT}"
    ),
    "another scheme": lambda w: w.path(prefix="-/https"),
    "a scheme that runs something": lambda w: w.path(prefix="-/ext::sh"),
    "the remote's own disk": lambda w: f"/{CAPABILITY}/-/file{w.remote.path(PROJECT)}",
    "the gateway's own disk": lambda w: f"/{CAPABILITY}/-/file{w.state}",
    "the gateway itself": lambda w: f"/{CAPABILITY}/-/http/127.0.0.1:{w.http_port}{w.path()}",
    "no capability": lambda w: w.path(capability=""),
    "another capability": lambda w: w.path(capability="guess"),
    "the beginning of the capability": lambda w: w.path(capability=CAPABILITY[:-1]),
    "the capability in capitals": lambda w: w.path(capability=CAPABILITY.upper()),
    "a capability that is no text": lambda w: w.path(capability="%ff%fe"),
    "another way to the capability": lambda w: "/x/.." + w.path(),
}
_COMMAND_IDS: Final = ("a" * 32, "../..", "%0a", "%00", "%2e%2e%2f", "x" * 5000, "%ed%a0%80", "'$(id)'")
_SERVICES: Final = (
    "", "git-upload-archive", "git-receive-pack%00", "git-receive-pack%20--advertise-refs", "receive-pack",
    "git-receive-pack&service=git-upload-pack", "../git-receive-pack", "git-http-backend",
)  # fmt: skip
_DUMB: Final = (
    "/HEAD", "/info/refs", "/objects/info/packs", "/objects/info/alternates", "/config", "/objects/00/" + "0" * 38,
    "/../../../users", "",
)  # fmt: skip

HTTP: Final = [
    *(Raw(name, data)
      for table in (_ENCODINGS, _LENGTHS_OF_BODIES, _VERSIONS, _HEADERS) for name, data in table.items()),
    *(Raw(f"{name}, asked for", _asks(path)) for name, path in _PATHS.items()),
    *(Raw(f"{name}, pushed to", _pushes_to(path)) for name, path in _PATHS.items()),
    *(Raw(f"from the command {name[:20]!r}", _pushes_to(lambda w, name=name: w.path(prefix=f"{name}/http")))  # type: ignore[misc]
      for name in _COMMAND_IDS),
    *(Raw(f"the service {name!r}", _asks(Wire.path, service=name)) for name in _SERVICES),
    *(Raw(f"the file {name!r}", _gets(name)) for name in _DUMB),
    *(Raw(f"{method} of the place for pushes", _gets("/git-receive-pack", method))
      for method in ("GET", "HEAD", "PUT", "DELETE", "PROPFIND", "MKCOL", "LOCK", "PATCH", "TRACE", "OPTIONS")),
    Raw("a push where a fetch belongs", lambda w: w.post(onto_main(w), service=UPLOAD)),
    Raw("a push where an advertisement belongs",
        lambda w: w.post(onto_main(w), service="info/refs?service=git-receive-pack")),
    Raw("a body with a question", lambda w: w.get(
        f"{w.path()}/info/refs?service=git-receive-pack", f"Content-Length: {len(onto_main(w))}") + onto_main(w)),
    Raw("a head that is cut off", lambda w: w.post(b"")[:60], ends=True),
    Raw("a body that is cut off", lambda w: w.post(onto_main(w))[:-50], ends=True),
    Raw("an allowed push that is cut off",
        lambda w: w.post(push((ZERO, w.mine, MINE), pack=mine(w)))[:-50], ends=True),
    Raw("nothing", lambda w: b"", ends=True),
    Raw("line ends alone", lambda w: b"\r\n" * 5000, ends=True),
    Raw("noise", lambda w: bytes(range(256)) * 100, ends=True),
]  # fmt: skip

# ---------------------------------------------------------------- the other door


def _at(rest: Callable[[Wire], str], scheme: str = "http", service: str = "git-receive-pack") -> Request:
    return lambda w: f"{CAPABILITY} - {service} {scheme} {rest(w)}\n".encode() + onto_main(w)


def _there(w: Wire) -> str:
    return f"127.0.0.1:{w.remote.port}/git/{PROJECT}"


STREAM: Final = [
    *(Raw(f"{service!r} as a service", _at(_there, service=service))
      for service in ("git-upload-archive", "upload-pack", "sh", "git-receive-pack\0", "")),
    *(Raw(f"{scheme!r} as a scheme", _at(_there, scheme=scheme)) for scheme in ("ext", "ftp", "https", "file", "", "\0")),
    Raw("another repository", _at(lambda w: f"127.0.0.1:{w.remote.port}/git/{OTHER}")),
    Raw("another repository by ..", _at(lambda w: _there(w) + "/../other.git")),
    Raw("another repository by %2e%2e", _at(lambda w: _there(w) + "/%2e%2e/other.git")),
    Raw("another repository behind a space", _at(lambda w: _there(w) + f" /git/{OTHER}")),
    Raw("a user", _at(lambda w: "x:y@" + _there(w))),
    Raw("the remote's own disk", _at(lambda w: str(w.remote.path(PROJECT)).lstrip("/"), scheme="file")),
    Raw("the remote's own disk by a URL", _at(lambda w: f"/{w.remote.path(PROJECT)}", scheme="file")),
    Raw("another capability", lambda w: w.head(capability="guess") + onto_main(w)),
    Raw("no capability", lambda w: w.head(capability="") + onto_main(w)),
    Raw("a capability that is no text", lambda w: b"\xff" + w.head() + onto_main(w)),
    Raw("a line end of another system", lambda w: w.head().replace(b"\n", b"\r\n") + onto_main(w)),
    Raw("a head without end", lambda w: b"x" * 200_000),
    Raw("a head that is cut off", lambda w: w.head()[:-1]),
    Raw("a head of 20 KB", lambda w: w.head(rest=_there(w) + "x" * 20_000) + onto_main(w)),
    Raw("half a head", lambda w: CAPABILITY.encode() + b" -\n"),
    Raw("HTTP", _sends()),
    Raw("noise", lambda w: bytes(range(256)) * 100),
    Raw("a push where a fetch belongs", lambda w: w.head(UPLOAD) + onto_main(w)),
    Raw("a fetch of the old protocol", lambda w: w.head(UPLOAD) + line(f"want {w.main} ofs-delta\n") + b"0000"),
    Raw("a fetch of half a line", lambda w: w.head(UPLOAD) + b"00ffcommand=fetch"),
    Raw("a fetch that does not end", lambda w: w.head(UPLOAD) + line(f"have {w.main}\n") * 20_000),
]  # fmt: skip
