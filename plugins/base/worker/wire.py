"""What the server and its worker say to each other, and the worker's end of the link.

Frames are those of `plugins.base.serving.protocol`; descriptors come with a frame's first byte. Both sides
trust each other's shape: the worker is our own process, and what commands do in it never speaks on the link.

Server to worker, first `{"spec": {...}, "parent": pid}`, then
`{"run": id, "argc": n, "umask": n | null, "channel": bool}` and `words`, with the descriptors of the
directory, of the three streams and perhaps of the channel; `{"signal": n, "to": id}` and `{"kill": id}`, also
for commands that have ended already.

Worker to server, first `{"ready": {...}}` or `{"failed": why, "hint": what to do}`, then
`{"refused": id, "kind": "missing" | "denied" | "worker", "message": why}` or, of a command that does not end
at once, `{"started": id, "pid": n, "at": time}`; and
`{"ended": id, "exit_code": n, "signal": n | null, "ms": duration, "pid": n, "at": time of the start}`.
Times are those of `time.monotonic`: one clock for both.
"""

from __future__ import annotations

import array
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from plugins.base.errors import Denied

HEADER_SIZE: Final = 4
MOST_DESCRIPTORS: Final = 5
_to_json: Final = json.JSONEncoder(separators=(",", ":")).encode
_ANCILLARY: Final = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)

# The channel's number in every command that has one: high, for scripts use the low ones as they like.
CHANNEL: Final = 61
CHANNEL_VARIABLE: Final = "CLAUDE_CONTAINER_CHANNEL"


def frame(message: bytes, text: bytes = b"") -> bytes:
    """The message, JSON, with its length; after it, behind a NUL, text for which JSON would be slow."""
    data = b"%b\0%b" % (message, text) if text else message
    return len(data).to_bytes(HEADER_SIZE, "big") + data


def words(argv: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """The arguments, then the variables, with NUL between. Raises `Denied` for what no program can get."""
    every = [*argv, *(f"{name}={value}" for name, value in environment.items())]
    try:
        text = "\0".join(every).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise _unfit() from error
    if text.count(b"\0") != len(every) - 1 or "" in environment or "=" in "".join(environment):
        raise _unfit()
    return text


def _unfit() -> Denied:
    return Denied("An argument or a variable holds a null byte, or a variable has no name.")


def descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came along; the caller owns them now."""
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return list(fds)


class Received(NamedTuple):
    """A frame as it came; the receiver owns the descriptors."""

    message: dict[str, Any]
    words: list[bytes]
    fds: list[int]


class Wire:
    """The worker's end: blocking, one frame at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def receive(self) -> Received | None:
        """The next frame; None when the server closed the link."""
        start, ancillary, _, _ = self._sock.recvmsg(HEADER_SIZE, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        fds = descriptors(ancillary)
        header = start + self._exactly(HEADER_SIZE - len(start)) if start else b""
        data = self._exactly(int.from_bytes(header, "big")) if len(header) == HEADER_SIZE else b""
        if not data:
            return None
        message, *words = data.split(b"\0")
        return Received(json.loads(message.decode("utf-8")), words, fds)

    def _exactly(self, size: int) -> bytes:
        """As many bytes, or none when the link ends before."""
        data = self._sock.recv(size, socket.MSG_WAITALL)
        while len(data) < size:  # a signal came between
            more = self._sock.recv(size - len(data), socket.MSG_WAITALL)
            if not more:
                return b""
            data += more
        return data

    def send(self, message: Mapping[str, Any]) -> None:
        self._sock.sendall(frame(_to_json(message).encode("ascii")))
