"""What the server and its worker say to each other, and the worker's end of the link.

Frames are those of `plugins.base.serving.protocol`; descriptors come with a frame's first byte. Both sides
trust each other's shape: the worker is our own process, and what commands do in it never speaks on the link.

Server to worker, first `{"spec": {...}, "parent": pid}`, then
`{"run": id, "argv": words, "env": words, "umask": n | null, "channel": bool}` with the descriptors of the
directory, of the three streams and perhaps of the channel; `{"signal": n, "to": id}` and `{"kill": id}`, also
for commands that have ended already. Words are one text, with NUL between them (`joined`, `parted`).

Worker to server, first `{"ready": {...}}` or `{"failed": why, "hint": what to do}`, then
`{"started": id, "pid": n}` or `{"refused": id, "kind": "missing" | "denied" | "worker", "message": why}`; and
`{"ended": id, "exit_code": n, "signal": n | null, "ms": duration}`.
"""

from __future__ import annotations

import array
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

from plugins.base.errors import Denied

HEADER_SIZE: Final = 4
MOST_DESCRIPTORS: Final = 5
_to_json: Final = json.JSONEncoder(separators=(",", ":")).encode
_ANCILLARY: Final = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)

# The channel's number in every command that has one: high, for scripts use the low ones as they like.
CHANNEL: Final = 61
CHANNEL_VARIABLE: Final = "CLAUDE_CONTAINER_CHANNEL"


def frame(message: Mapping[str, Any]) -> bytes:
    """The message with its length. Stray bytes, as surrogates, pass through JSON unharmed."""
    data = _to_json(message).encode("ascii")
    return len(data).to_bytes(HEADER_SIZE, "big") + data


def joined(words: Sequence[str]) -> str:
    """The words as one text. Raises `Denied` for those that no program can be given."""
    text = "\0".join(words)
    if text.count("\0") >= max(1, len(words)):
        raise _unfit()
    return text


def variables(environment: Mapping[str, str]) -> list[str]:
    """The environment as words, `NAME=value`. Raises `Denied` as `joined` does."""
    if "" in environment or "=" in "".join(environment):
        raise _unfit()
    return [f"{name}={value}" for name, value in environment.items()]


def _unfit() -> Denied:
    return Denied("An argument or a variable holds a null byte, or a variable has no name.")


def parted(text: str) -> list[bytes]:
    """The words again, as the system takes them."""
    return text.encode("utf-8", "surrogateescape").split(b"\0") if text else []


def descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came along; the caller owns them now."""
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return list(fds)


class Wire:
    """The worker's end: blocking, one frame at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next frame and its descriptors; None when the server closed the link."""
        start, ancillary, _, _ = self._sock.recvmsg(HEADER_SIZE, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        fds = descriptors(ancillary)
        header = start + self._exactly(HEADER_SIZE - len(start)) if start else b""
        data = self._exactly(int.from_bytes(header, "big")) if len(header) == HEADER_SIZE else b""
        return (json.loads(data.decode("ascii")), fds) if data else None

    def _exactly(self, size: int) -> bytes:
        """As many bytes, or none when the link ends before."""
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = self._sock.recv_into(view)
            if count == 0:
                return b""
            view = view[count:]
        return bytes(data)

    def send(self, message: Mapping[str, Any]) -> None:
        self._sock.sendall(frame(message))
