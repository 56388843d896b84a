"""One push: read from the wire, judged as a whole, then forwarded or refused. Nothing in between.

The order is the guarantee: commands are parsed, the remote's real refs are asked for, ancestry is
proven from objects the gateway holds itself, the decision is written down, and only then does a
first byte go to the remote, rebuilt from what was judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from plugins.base.errors import Denied, ProtocolError
from plugins.base.model import Decision, RefUpdate
from plugins.git.gateway.ancestry import walk_back
from plugins.git.gateway.history import Histories
from plugins.git.gateway.pktline import Reader, Special, band, parse
from plugins.git.gateway.receive_pack import (
    MAX_COMMANDS,
    MAX_PUSH_OPTIONS,
    Advertisement,
    PushCommands,
    Refusal,
    encode_commands,
    parse_advertisement,
    parse_commands,
    refuse,
)
from plugins.git.gateway.repository import Parents, Repository, quarantine
from plugins.git.gateway.upstream import RECEIVE_PACK, Body, Upstream, UpstreamError

MAX_ADVERTISEMENT: Final = 256 << 20  # bytes
_MAX_COMMAND_BYTES: Final = 16 << 20
_MAX_REPORT: Final = 64 << 20  # bytes of a remote's answer to a push
_CHUNK: Final = 1 << 18
_PASSED_ON: Final = frozenset(["report-status", "report-status-v2", "side-band-64k", "quiet", "atomic",
                               "push-options", "object-format"])  # fmt: skip

Send = Callable[[bytes], Awaitable[None]]


class NotForwarded(Denied):
    """A push that ended before anything of it went to the remote."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A push with all that is known when it is judged."""

    upstream: Upstream
    updates: tuple[RefUpdate, ...]
    options: tuple[str, ...] = ()  # push options
    object_format: str = "sha1"
    objects: Repository | None = None  # what came with it; None when it was not needed
    parents: Parents = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a judged push."""

    allowed: bool
    refusal: Refusal = field(default_factory=Refusal)


class Judge(Protocol):
    """Decides, asks the operator where that may help, and records. Holds policy and control link."""

    def decide(self, push: Judged) -> Decision: ...

    async def settle(self, push: Judged, decision: Decision, remark: Send) -> Settled:
        """Record the decision; ask when it can be approved. `remark` sends a line to the waiting client."""

    async def done(self, push: Judged, *, arrived: bool | None) -> None:
        """Record what became of a forwarded push; None: not known."""


@dataclass(frozen=True, slots=True)
class Pushes:
    """What all pushes share."""

    histories: Histories
    directory: Path  # for quarantines
    max_pack_bytes: int

    async def receive(self, upstream: Upstream, reader: Reader, send: Send, judge: Judge) -> None:
        """Serve one `git-receive-pack` request. Raises `Denied` when it cannot even be read."""
        lines = await _command_lines(reader)
        if not lines:
            return  # a probe, as clients send before a long request
        advertisement = await advertised(upstream)
        commands = parse_commands(lines, advertisement.object_format)
        if "push-options" in commands.capabilities:
            commands = replace(commands, options=await _push_options(reader))
        if stale := _stale(commands, advertisement):
            await send(refuse(commands, stale))
            return
        try:
            await self._judge(upstream, commands, reader, send, judge, advertisement)
        except NotForwarded as error:
            refs = {update.ref: error.message for update in commands.updates}
            await send(refuse(commands, Refusal(refs, tuple(filter(None, (error.message, error.hint))))))

    async def _judge(
        self, upstream: Upstream, commands: PushCommands, reader: Reader, send: Send, judge: Judge,
        advertisement: Advertisement,
    ) -> None:  # fmt: skip
        remark = _remarks(commands, send)
        first = Judged(upstream, commands.updates, commands.options, advertisement.object_format)
        moves = any(not (update.creates or update.deletes) for update in commands.updates)
        decision = judge.decide(first)
        if not moves and (decision.allowed or not decision.approvable):
            settled = await judge.settle(first, decision, remark)
            await self._finish(settled, upstream, commands, reader.rest(), None, send, judge, first)
            return
        async with quarantine(self.directory, advertisement.object_format) as objects:
            judged, pack = await self._received(upstream, commands, reader, objects, advertisement)
            settled = await judge.settle(judged, judge.decide(judged), remark)
            chunks, length = (_file(pack), pack.stat().st_size) if pack else (_nothing(), 0)
            await self._finish(settled, upstream, commands, chunks, length, send, judge, judged)

    async def _received(
        self, upstream: Upstream, commands: PushCommands, reader: Reader, objects: Repository,
        advertisement: Advertisement,
    ) -> tuple[Judged, Path | None]:  # fmt: skip
        """Take the pack in, and prove for each moved ref what can be proven."""
        try:
            pack = await self._take_pack(commands, reader, objects)
            parents = await objects.commits()
        except Denied as error:
            raise NotForwarded(error.message, hint=error.hint) from error
        updates = [
            await self._proven(upstream, update, parents, advertisement.object_format)
            for update in commands.updates
        ]
        judged = Judged(
            upstream, tuple(updates), commands.options, advertisement.object_format, objects, parents
        )
        return judged, pack

    async def _take_pack(self, commands: PushCommands, reader: Reader, objects: Repository) -> Path | None:
        if not commands.expects_pack:
            return None
        return await objects.index_pack(reader.rest(), max_bytes=self.max_pack_bytes)

    async def _proven(
        self, upstream: Upstream, update: RefUpdate, parents: Parents, object_format: str
    ) -> RefUpdate:
        if update.creates or update.deletes:
            return update
        walk = walk_back(update.new, update.old, parents)
        found = walk.found or (
            bool(walk.frontier)
            and await self.histories.descends(upstream, update.old, walk.frontier, object_format)
        )
        return replace(update, fast_forward=found)

    async def _finish(
        self, settled: Settled, upstream: Upstream, commands: PushCommands, pack: AsyncIterator[bytes],
        length: int | None, send: Send, judge: Judge, judged: Judged,
    ) -> None:  # fmt: skip
        if not settled.allowed:
            await send(refuse(commands, settled.refusal))
            return
        arrived: bool | None = None
        try:
            arrived = await forward(upstream, commands, pack, length, send)
        except (UpstreamError, asyncio.CancelledError):
            # The answer is lost, not the push: only the remote knows what became of it.
            arrived = await _look(upstream, commands)
            raise
        finally:
            await judge.done(judged, arrived=arrived)


async def advertised(upstream: Upstream) -> Advertisement:
    """Ask the remote for its refs as they are now."""
    data = bytearray()
    async with upstream.advertise(RECEIVE_PACK, "") as chunks:
        async for chunk in chunks:
            data += chunk
            if len(data) > MAX_ADVERTISEMENT:
                raise UpstreamError(f"{upstream.url} has more refs than can be handled.")
    return parse_advertisement(parse(bytes(data)))


async def _command_lines(reader: Reader) -> list[bytes]:
    lines: list[bytes] = []
    size = 0
    while (line := await reader.line()) is not Special.FLUSH:
        if isinstance(line, Special):
            raise ProtocolError("A push begins with something else than its commands.")
        lines.append(line)
        size += len(line)
        if len(lines) > 2 * MAX_COMMANDS or size > _MAX_COMMAND_BYTES:
            raise ProtocolError(f"A push may change at most {MAX_COMMANDS} refs.")
    return lines


async def _push_options(reader: Reader) -> tuple[str, ...]:
    options: list[str] = []
    while (line := await reader.line()) is not Special.FLUSH:
        if isinstance(line, Special) or len(options) >= MAX_PUSH_OPTIONS:
            raise ProtocolError("The push options cannot be read.")
        options.append(_push_option(line))
    return tuple(options)


def _push_option(line: bytes) -> str:
    """The option as text; git's own client sends no line ends within one, and nobody may read it as two."""
    try:
        option = line.removesuffix(b"\n").decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("A push option is not UTF-8.") from None
    if not option.isprintable():
        raise ProtocolError(f"The push option {option[:80]!r} has control characters.")
    return option


def _stale(commands: PushCommands, advertisement: Advertisement) -> Refusal | None:
    """Refuse what was made for a state that the remote is not in."""
    wrong = {
        update.ref: "fetch first"
        for update in commands.updates
        if update.old != advertisement.refs.get(update.ref, advertisement.null_id)
        or (update.creates and update.deletes)
    }
    remark = "The remote has moved on since this push was prepared: git fetch, then try again."
    return Refusal(wrong, (remark,)) if wrong else None


def _remarks(commands: PushCommands, send: Send) -> Send:
    """How to say something while the client waits; without side-band it cannot be told."""

    async def remark(line: bytes) -> None:
        if "side-band-64k" in commands.capabilities:
            await send(band(2, line))

    return remark


async def forward(
    upstream: Upstream, commands: PushCommands, pack: AsyncIterator[bytes], length: int | None, send: Send
) -> bool:
    """Send what was judged, and the answer back. Returns whether the remote took all of it."""
    asked = {name: value for name, value in commands.capabilities.items() if name in _PASSED_ON}
    head = encode_commands(commands, {**asked, "agent": "git/claude-container"})
    body = Body(_joined(head, pack), None if length is None else len(head) + length)
    report = bytearray()
    async with upstream.request(RECEIVE_PACK, body, "") as chunks:
        async for chunk in chunks:
            report += chunk
            if len(report) > _MAX_REPORT:
                raise UpstreamError(f"{upstream.url} answers a push without end.")
            await send(chunk)
    return _taken(bytes(report), commands)


def _taken(answer: bytes, commands: PushCommands) -> bool:
    """Whether the remote reported success for every ref (a client that asked for no report: unknown)."""
    lines = parse(answer)
    if "side-band-64k" in commands.capabilities:
        data = b"".join(line[1:] for line in lines if isinstance(line, bytes) and line[:1] == b"\x01")
        lines = parse(data)
    told = [line for line in lines if isinstance(line, bytes)]
    return bool(told) and not any(line.startswith(b"ng ") for line in told)


async def _look(upstream: Upstream, commands: PushCommands) -> bool | None:
    """Ask the remote whether a push of unknown outcome arrived; None when it cannot be asked."""
    try:
        now = await advertised(upstream)
    except Denied:
        return None
    return all(now.refs.get(update.ref, now.null_id) == update.new for update in commands.updates)


async def _joined(head: bytes, pack: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in pack:
        yield chunk


async def _file(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
