"""One connection of a caller: its request, what it says while its command lives, and the last frame.

A connection carries one request. What is malformed, oversized or slow gets an error or a closed
connection; a connection that ends takes its command with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from plugins.base.errors import ProtocolError
from plugins.base.refusal import error_text
from plugins.base.serving import protocol
from plugins.base.serving.caller import BufferedCaller, Caller, DescriptorCaller
from plugins.base.serving.channel import SETTLED, RunCall, close_all
from plugins.base.serving.command import NOT_JUDGED, Command
from plugins.base.serving.connection import Connection, Frame
from plugins.base.serving.judging import Services
from plugins.base.serving.protocol import ExecRequest, QueryRequest, RanRequest, SignalRequest

log = logging.getLogger(__name__)

REQUEST_WITHIN: Final = 10.0  # seconds
_ANSWER_WITHIN: Final = 30.0
_HUNG_UP: Final = 129  # exit status of a program whose caller is gone: 128 + SIGHUP
_USUAL: Final = 32 * 1024  # bytes; most requests are far smaller
LARGE: Final = 256 * 1024  # bytes; only so many requests larger than this are in memory at a time
MOST_LARGE: Final = 16
_LARGEST_LATER: Final = 64 * 1024  # bytes of a frame after the request
FEATURES: Final = ("fds", "signal", "run", "hook", "umask", "truncated")


class Session:
    """One caller's connection. `run` ends when everything of it is closed."""

    def __init__(self, services: Services, sock: socket.socket, peer: str, large: asyncio.Semaphore) -> None:
        self._services = services
        self._large = large  # places for large requests, shared by all connections
        self._is_large = False
        self._connection = Connection(sock)
        self._loop = asyncio.get_running_loop()
        self._peer = peer
        self._command: Command | None = None
        self._programs: dict[int, asyncio.Future[int]] = {}
        self._program = 0

    async def run(self) -> None:
        try:
            with suppress(OSError):
                await self._converse()
        finally:
            self._connection.close()
            if self._is_large:
                self._large.release()

    def end(self) -> None:
        """The plugin stops: end what runs, or wait for no request any more."""
        if self._command is not None:
            self._command.hang_up()
        else:
            self._connection.close()

    def abort(self) -> None:
        """Wait no longer for the caller."""
        self._connection.close()
        self._hang_up()

    async def _converse(self) -> None:
        try:
            frame = await self._first_frame()
            if frame is None:
                return
            request, caller = _request(frame)
        except ProtocolError as error:
            await self._send(failure(error.message))
            return
        match request:
            case ExecRequest():
                await self._execute(request, caller)
            case QueryRequest():
                await self._send(self._query(request.action))
            case _:
                await self._send(failure("There is no command yet for which this could be meant."))

    async def _first_frame(self) -> Frame | None:
        frame = self._connection.at_hand(_USUAL)  # clients send as soon as they are connected
        if frame is not None:
            return frame
        timer = self._loop.call_later(REQUEST_WITHIN, self._connection.close)
        try:
            return await self._connection.receive(self._admit)
        finally:
            timer.cancel()

    async def _admit(self, length: int) -> None:
        """A large request takes one of few places for as long as its command lives."""
        if length > LARGE:
            await self._large.acquire()
            self._is_large = True

    async def _send(self, payload: bytes, fds: tuple[int, ...] = ()) -> None:
        """Send, unless the caller does not read: then the connection is closed."""
        timer = self._loop.call_later(_ANSWER_WITHIN, self.abort)
        try:
            await self._connection.send(payload, fds)
        finally:
            timer.cancel()

    # ------------------------------------------------------------ a command

    async def _execute(self, request: ExecRequest, caller: Caller) -> None:
        self._command = command = Command(self._services, request, caller, self, self._peer)
        listening = self._loop.call_later(SETTLED, self._listen)
        try:
            await self._send(await command.run())
        finally:
            listening.cancel()
            self._command = None
            self._connection.close()

    def _listen(self) -> None:
        if self._command is not None:
            with suppress(ConnectionResetError):
                self._connection.watch(self._hear)

    def _hear(self) -> None:
        """Take the caller's further frames; when it hung up, so does the command."""
        try:
            while self._command and (frame := self._connection.next_frame(_LARGEST_LATER)) is not None:
                self._take(frame, self._command)
        except EOFError:
            self._connection.unwatch()
            if not self._only_half_closed():
                self._hang_up()
        except (OSError, ProtocolError):
            self._connection.unwatch()
            self._hang_up()

    def _hang_up(self) -> None:
        if self._command is not None:
            self._command.hang_up()
        for program in self._programs.values():
            if not program.done():
                program.set_result(_HUNG_UP)

    def _only_half_closed(self) -> bool:
        """Whether the peer will send nothing more but can still read."""
        poll = select.poll()
        poll.register(self._connection.socket, 0)
        return not any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))

    def _take(self, frame: Frame, command: Command) -> None:
        close_all(frame.fds)
        match protocol.parse_request(protocol.parse_json(frame.data)):
            case SignalRequest(signum):
                command.signal(signum)
            case RanRequest(run, exit_code):
                program = self._programs.pop(run, None)
                if program is not None and not program.done():
                    program.set_result(exit_code)
            case _:
                raise ProtocolError("A connection carries one request.")

    # ------------------------------------------------------------ programs on the caller's side

    async def run_program(self, call: RunCall, environment: Mapping[str, str], fds: tuple[int, ...]) -> int:
        self._program += 1
        number = self._program
        ended: asyncio.Future[int] = self._loop.create_future()
        self._programs[number] = ended
        try:
            try:
                await self._send(protocol.run_frame(number, call.argv, environment, call.cwd), fds)
            finally:
                close_all(fds)
            return await ended
        finally:
            self._programs.pop(number, None)

    # ------------------------------------------------------------ questions about the plugin

    def _query(self, action: str) -> bytes:
        if action == "capabilities":
            return protocol.response(0, stdout=self._capabilities())
        problem = self._services.enforcement.problem()
        if problem:
            return protocol.response(1, stderr=error_text(problem), error=problem)
        return protocol.response(0, stdout="ok\n")

    def _capabilities(self) -> str:
        ready = self._services.enforcement.ready
        body = {
            "tool": self._services.plugin.tool,
            "version": ready.tool if ready is not None else "",
            "protocol": 1,
            "features": FEATURES,
        }
        return json.dumps(body) + "\n"


def _request(frame: Frame) -> tuple[protocol.Request, Caller]:
    """The first request of a connection; its descriptors belong to the caller object then."""
    fds = frame.fds
    try:
        request = protocol.parse_request(protocol.parse_json(frame.data))
        if isinstance(request, ExecRequest) and request.fds:
            caller = DescriptorCaller(fds)
            fds = ()
            return request, caller
        return request, BufferedCaller()
    finally:
        close_all(fds)


def failure(message: str) -> bytes:
    """The answer to what is not a request."""
    return protocol.response(NOT_JUDGED, stderr=error_text(message), error=message)
