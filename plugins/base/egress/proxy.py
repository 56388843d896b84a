"""The door: one request for each connection, judged, and then a tunnel to the address that was judged.

Whoever gets here may be hostile. What is malformed, oversized or slow gets a short answer and is closed; of
everything there is only so much at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final

from plugins.base.egress import lookup
from plugins.base.egress.answers import answer, no
from plugins.base.egress.judge import ConnectionJudge, Desk, record_unjudged
from plugins.base.egress.request import END, LARGEST_HEAD, Refused, Request, parse
from plugins.base.egress.tunnel import BUFFER, CHUNK, IDLE, Side, Tunnel
from plugins.base.errors import ClaudeContainerError, Denied
from plugins.base.gateway import claimed
from plugins.base.plugin import Plugin
from plugins.base.policy.hosts import Target

log = logging.getLogger(__name__)

MOST: Final = 256  # connections at once that were asked for, those that wait included
MOST_STRANGERS: Final = 256  # that have not asked for anything yet
HEAD_WITHIN: Final = 10.0  # seconds
_CONNECT_WITHIN: Final = 10.0  # seconds, for each address
_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class HungUp(Exception):
    """The tool does not wait any more."""


class Proxy:
    """Serves the connections of one tool. `serve` is what `asyncio.start_server` wants."""

    def __init__(
        self, desk: Desk, kind: type[Plugin], capability: str, listens_on: str,
        *, head_within: float = HEAD_WITHIN, idle: float = IDLE,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._kind = kind
        self._capability = capability
        self._listens_on = listens_on
        self._head_within = head_within
        self._idle = idle
        self._open: set[Side] = set()
        self._strangers: dict[Side, None] = {}  # of those, who has shown no right to be there; oldest first
        self._closing = False
        self._tunnels: dict[Tunnel, ConnectionJudge] = {}

    def judge_again(self) -> None:
        """Something else is in force: end what may not go on."""
        for tunnel, judge in list(self._tunnels.items()):
            if not judge.holds():
                tunnel.end(judge.decide().reasons[0].message)

    def close(self) -> None:
        """End everything that is open, and begin nothing."""
        self._closing = True
        for side in self._open:
            side.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tool = Side(reader, writer)
        self._open.add(tool)
        self._take_in(tool)
        try:
            await self._converse(tool)
        except (ConnectionError, HungUp):
            pass
        except Exception:
            log.exception("A connection was refused because of a fault in the gateway.")
        finally:
            self._open.discard(tool)
            self._strangers.pop(tool, None)
            tool.abort()

    def _take_in(self, stranger: Side) -> None:
        """Those that say nothing keep nobody out: the oldest gives way."""
        self._strangers[stranger] = None
        if len(self._strangers) > MOST_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.abort()

    async def _converse(self, tool: Side) -> None:
        try:
            request = await self._request(tool)
        except Refused as error:
            await self._refuse_unjudged(tool, error)
            return
        command = claimed(request.command)
        try:
            await self._connect(tool, request.target, command)
        except ClaudeContainerError as error:
            await self._refuse(tool, command, error)

    async def _refuse(self, tool: Side, command: str, error: ClaudeContainerError) -> None:
        """Say why to whoever called, before the tool can come to its end; then to the tool."""
        refusal = no(error)
        await self._desk.tell(command, refusal.text)
        await answer(tool, refusal)

    async def _refuse_unjudged(self, tool: Side, error: Refused) -> None:
        if not error.asked:
            await answer(tool, no(error))
            return
        command = claimed(error.command)
        self._desk.counters.commands += 1
        try:
            record_unjudged(self._desk, command, error.asked, error.message)
        except Denied as worse:
            error = Refused(error.status, worse.message)
        await self._refuse(tool, command, error)

    # ------------------------------------------------------------ what is asked

    async def _request(self, tool: Side) -> Request:
        """Read what is asked, by somebody who may ask, when there is room. Raises `Refused`."""
        request = parse(await self._head(tool), self._capability)
        self._strangers.pop(tool, None)
        if self._closing or len(self._open) - len(self._strangers) > MOST:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, f"There are {MOST} connections already.",
                hint="Try again when some of them are over.", asked=("connect", str(request.target)),
                command=request.command,
            )  # fmt: skip
        return request

    async def _head(self, tool: Side) -> bytes:
        """Everything up to the empty line. Raises `Refused`."""
        try:
            async with asyncio.timeout(self._head_within):
                head = await tool.reader.readuntil(END)
        except TimeoutError:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The request did not come in time.") from None
        except asyncio.LimitOverrunError:
            raise _too_large() from None
        except asyncio.IncompleteReadError:
            raise HungUp from None
        if len(head) > LARGEST_HEAD:
            raise _too_large()
        return head

    # ------------------------------------------------------------ the connection

    async def _connect(self, tool: Side, target: Target, command: str) -> None:
        """Judge it, find the host, and carry bytes. Raises `ClaudeContainerError` for a no."""
        self._desk.counters.commands += 1
        say = partial(self._desk.tell, command)
        judge = ConnectionJudge(self._desk, self._kind, command, str(target), say)
        first = asyncio.ensure_future(tool.reader.read(CHUNK))
        try:
            await _while_wanted(judge, first)
            addresses = await lookup.addresses_of(target)
            judge.place(addresses, lookup.own_of(addresses, self._listens_on))
            host = await self._reach(judge, target, addresses)
            try:
                judge.check()  # it took a while to get there
                await self._carry(judge, target, Tunnel(tool, host, idle=self._idle), tool, first)
            finally:
                host.abort()
        finally:
            first.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await first

    async def _reach(self, judge: ConnectionJudge, target: Target, addresses: tuple[str, ...]) -> Side:
        """Connect to one of the addresses that were judged: the name is not looked up again."""
        why = "it stands for no address"
        for address in addresses:
            try:
                async with asyncio.timeout(_CONNECT_WITHIN):
                    return Side(*await asyncio.open_connection(address, target.port, limit=BUFFER))
            except TimeoutError:
                why = "it does not answer"
            except OSError as error:
                why = (error.strerror or str(error)).lower()
        message = f"{target} cannot be reached: {why}."
        judge.over(message)
        raise lookup.NoSuchHost(message)

    async def _carry(
        self, judge: ConnectionJudge, target: Target, tunnel: Tunnel, tool: Side, first: asyncio.Future[bytes]
    ) -> None:
        started = time.monotonic()
        self._tunnels[tunnel] = judge
        self._desk.counters.running += 1
        try:
            tool.writer.write(_ESTABLISHED)
            await tunnel.run(first)
        finally:
            del self._tunnels[tunnel]
            self._desk.counters.running -= 1
            with suppress(Denied):  # that it was let through is recorded
                seconds = time.monotonic() - started
                judge.over(
                    f"{target} {tunnel.why} after {seconds:.1f} s: "
                    f"{tunnel.sent} bytes sent, {tunnel.received} received."
                )


async def _while_wanted(judge: ConnectionJudge, first: asyncio.Future[bytes]) -> None:
    """Judge, as long as the tool waits for it. Raises `ConnectionRefused`."""
    admission = asyncio.ensure_future(judge.admit())
    try:
        await asyncio.wait((admission, first), return_when=asyncio.FIRST_COMPLETED)
        if not admission.done() and (first.exception() is not None or not first.result()):
            judge.abandon()
        await admission
    finally:
        admission.cancel()


def _too_large() -> Refused:
    return Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"At most {LARGEST_HEAD} bytes are read.")
