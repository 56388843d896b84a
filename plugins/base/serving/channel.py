"""The channel of one command: its hooks ask here, and its editors and pagers are handed to the caller.

The command inherits one end of a SOCK_SEQPACKET pair. A shim sends one descriptor over it, a stream socket of
its own, and has its conversation there. Whoever holds the end is this command or its child; what is
said is untrusted all the same. What does not fit is closed without an answer, which a shim takes as a no.
"""

from __future__ import annotations

import array
import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from plugins.base.errors import ProtocolError
from plugins.base.plugin import HookCall
from plugins.base.serving.connection import Connection
from plugins.base.serving.protocol import encode, parse_json, text, text_map, texts

log = logging.getLogger(__name__)

MOST_OF_COMMAND: Final = 32  # conversations of one command at a time
MOST_OF_ALL: Final = 256
# Seconds in which a command just starts. What can wait does, for it would take a processor from the command.
SETTLED: Final = 0.003
_REQUEST_WITHIN: Final = 10.0  # seconds
_ANSWER_WITHIN: Final = 10.0
_KIND: Final = (socket.AF_UNIX, socket.SOCK_SEQPACKET)
_ANCILLARY: Final = socket.CMSG_SPACE(4 * array.array("i").itemsize)


@dataclass(frozen=True, slots=True)
class RunCall:
    """A program that belongs to the caller's side: an editor, a pager, a repository's own hook."""

    argv: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShimAnswer:
    """What a shim does: print this, exit so."""

    exit_code: int
    stderr: str = ""


class ChannelHost(Protocol):
    """The command that the channel belongs to. `run_program` takes over the descriptors."""

    async def judge_hook(self, call: HookCall) -> ShimAnswer: ...
    async def run_program(self, call: RunCall, fds: tuple[int, ...]) -> ShimAnswer: ...


class Slots:
    """Counts conversations of all commands."""

    def __init__(self, most: int = MOST_OF_ALL) -> None:
        self._free = most

    def take(self) -> bool:
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        self._free += 1


class Pairs:
    """Makes the socket pairs of channels, one ahead of the command that will need it.

    It is made when a command has ended: then nobody waits.
    """

    def __init__(self) -> None:
        self._ready: tuple[int, int] | None = None  # descriptors; they stay for as long as the process

    def take(self) -> tuple[socket.socket, int]:
        """Our end, and the descriptor of the command's."""
        (ours, theirs), self._ready = self._ready or _pair(), None
        return socket.socket(*_KIND, 0, fileno=ours), theirs

    def prepare(self) -> None:
        """See that one is ready."""
        if self._ready is None:
            with suppress(OSError):  # no descriptors left: who needs one will say so
                self._ready = _pair()


def _pair() -> tuple[int, int]:
    ours, theirs = socket.socketpair(*_KIND)
    ours.setblocking(False)
    return ours.detach(), theirs.detach()


class Channel:
    """The server's end. Close it when the command has ended: open conversations end with it."""

    def __init__(self, host: ChannelHost, slots: Slots, pairs: Pairs) -> None:
        self._host = host
        self._slots = slots
        self._pairs = pairs
        self._loop = asyncio.get_running_loop()
        self._ours, self.theirs = pairs.take()  # the command's end is to be inherited by it
        self._descriptor = self._ours.fileno()  # the loop is quicker with numbers than with sockets
        self._conversations: set[asyncio.Task[None]] = set()
        self._closed = False
        self._opening: asyncio.TimerHandle | None = None

    def handed_over(self) -> None:
        """The command's end is on its way to it: it may speak, and is heard once it is `SETTLED`.

        Our copy of it stays open: that the command is gone is told otherwise, and nobody is woken for it.
        """
        self._opening = self._loop.call_later(SETTLED, self._open)

    def _open(self) -> None:
        self._loop.add_reader(self._descriptor, self._readable)

    async def close(self) -> None:
        """Nobody can speak any more. What is open is closed after the caller has its answer."""
        if self._closed:
            return
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        self._loop.call_soon(self._shut)
        if self._conversations:
            for conversation in self._conversations:
                conversation.cancel()
            await asyncio.wait(self._conversations)

    def _shut(self) -> None:
        os.close(self.theirs)
        self._stop_reading()
        self._ours.close()
        self._pairs.prepare()

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._descriptor)

    # ------------------------------------------------------------ conversations

    def _readable(self) -> None:
        if self._closed:
            return
        try:
            data, ancillary, _, _ = self._ours.recvmsg(16, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        fds = _descriptors(ancillary)
        sock = _stream(fds) if data else None
        if not data:
            self._stop_reading()
        elif sock is not None:
            self._begin(sock)

    def _begin(self, sock: socket.socket) -> None:
        if len(self._conversations) >= MOST_OF_COMMAND or not self._slots.take():
            log.warning("A command has too many hooks or programs open at a time; one was refused.")
            sock.close()
            return
        conversation = self._loop.create_task(self._converse(Connection(sock)))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._finished)

    def _finished(self, conversation: asyncio.Task[None]) -> None:
        self._conversations.discard(conversation)
        self._slots.give_back()
        if not conversation.cancelled() and (error := conversation.exception()) is not None:
            log.error("A hook's conversation failed.", exc_info=error)

    async def _converse(self, connection: Connection) -> None:
        try:
            with suppress(OSError, ProtocolError, TimeoutError):
                answer = await self._answer(connection)
                async with asyncio.timeout(_ANSWER_WITHIN):
                    body = {"exit_code": answer.exit_code, "stderr": answer.stderr}
                    await connection.send(encode(body))
        finally:
            connection.close()

    async def _answer(self, connection: Connection) -> ShimAnswer:
        async with asyncio.timeout(_REQUEST_WITHIN):
            frame = await connection.receive()
        if frame is None:
            raise ProtocolError("A shim said nothing.")
        fds = frame.fds
        try:
            call = parse_call(parse_json(frame.data))
            if isinstance(call, HookCall):
                return await self._host.judge_hook(call)
            if len(fds) != 3:
                raise ProtocolError("A program needs the descriptors 0, 1 and 2.")
            fds = ()
            return await self._host.run_program(call, frame.fds)
        finally:
            close_all(fds)


def parse_call(untrusted: Mapping[str, Any]) -> HookCall | RunCall:
    """Turn a shim's object into a typed call. Raises `ProtocolError`."""
    action = untrusted.get("action")
    argv = texts(untrusted.get("args"), "args")
    environment = text_map(untrusted.get("env", {}), "env")
    cwd = text(untrusted.get("cwd"), "cwd")
    if not cwd.startswith("/"):
        raise ProtocolError("cwd must be an absolute path.")
    if action == "run" and argv:
        return RunCall(argv, cwd, environment)
    if action == "hook":
        name = text(untrusted.get("name"), "name")
        return HookCall(name, argv, cwd, _stdin(untrusted.get("stdin", "")), environment)
    raise ProtocolError("The action must be hook or run.")


def _stdin(untrusted: object) -> bytes:
    if not isinstance(untrusted, str):
        raise ProtocolError("stdin must be text.")
    try:
        return untrusted.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ProtocolError("stdin holds a surrogate that stands for no byte.") from error


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, ...]:
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return tuple(fds)


def _stream(fds: tuple[int, ...]) -> socket.socket | None:
    """The stream socket that a shim sent; None, and everything closed, for anything else."""
    if len(fds) == 1:
        with suppress(OSError):
            sock = socket.socket(fileno=fds[0])
            if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM:
                return sock
            sock.detach()
    close_all(fds)
    return None


def close_all(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)
