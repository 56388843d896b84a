"""One push: read from the wire, judged as a whole, then forwarded or refused. Nothing in between.

The order is the guarantee: commands are parsed, the remote's real refs are asked for, ancestry is
proven from objects the gateway holds itself, the decision is written down, and only then does a
first byte go to the remote, rebuilt from what was judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from plugins.base.errors import Denied, ProtocolError
from plugins.base.model import Decision, RefUpdate
from plugins.base.text import printable
from plugins.git.gateway.history import Histories
from plugins.git.gateway.leading import LeadingCommits
from plugins.git.gateway.pktline import Reader, Special, band, parse
from plugins.git.gateway.proofs import Judged, Proofs
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
from plugins.git.gateway.repository import quarantine
from plugins.git.gateway.symrefs import symbolic
from plugins.git.gateway.turns import Turns
from plugins.git.gateway.upstream import RECEIVE_PACK, Body, Upstream, UpstreamError

MAX_ADVERTISEMENT: Final = 256 << 20  # bytes
_MAX_COMMAND_BYTES: Final = 16 << 20
_MAX_REPORT: Final = 64 << 20  # bytes of a remote's answer to a push
_CHUNK: Final = 1 << 18
_ASK_AGAIN_AFTER: Final = (0.5, 2.0)  # seconds
_PASSED_ON: Final = frozenset(["report-status", "report-status-v2", "side-band-64k", "quiet", "atomic",
                               "push-options", "object-format"])  # fmt: skip

Send = Callable[[bytes], Awaitable[None]]


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

    def turned_down(self, push: Judged, reason: str) -> None:
        """Record a push that is refused before it can be judged."""

    def begin(self, push: Judged) -> None:
        """Note that it is about to go to the remote. Raises `Denied`: then it must not."""

    async def done(self, push: Judged, *, arrived: bool | None, answered: bool) -> None:
        """Record what became of a forwarded push; None: not known. `answered`: the remote said so itself."""


@dataclass(frozen=True, slots=True)
class Pushes:
    """What all pushes share."""

    histories: Histories
    directory: Path  # for quarantines
    max_pack_bytes: Callable[[], int]
    turns: Turns = field(default_factory=Turns)

    async def receive(self, upstream: Upstream, reader: Reader, send: Send, judge: Judge) -> None:
        """Serve one `git-receive-pack` request. Raises `Denied` when it cannot even be read."""
        lines = await _command_lines(reader)
        if not lines:
            return  # a probe, as clients send before a long request
        advertisement = await advertised(upstream)
        commands = parse_commands(lines, advertisement.object_format)
        if "push-options" in commands.capabilities:
            commands = replace(commands, options=await _push_options(reader))
        first = Judged(upstream, commands.updates, commands.options, advertisement.object_format)
        push = _Push(commands, _Answer(send), judge)
        try:
            async with self.turns.open():
                await self._take(push, first, reader, advertisement)
        except Denied as error:
            if push.answer.begun:
                raise
            await push.turn_down(first, _whole(commands, error))

    async def _take(self, push: _Push, first: Judged, reader: Reader, advertisement: Advertisement) -> None:
        if stale := _stale(push.commands, advertisement):
            await push.turn_down(first, stale)
            return
        await _check_symbolic(first.upstream, push.commands, first.object_format)
        await self._judge(push, first, reader)

    async def _judge(self, push: _Push, first: Judged, reader: Reader) -> None:
        moves = any(not (update.creates or update.deletes) for update in first.updates)
        if not moves and push.is_settled(first):
            await push.settle(first, reader.rest(), None)
            return
        async with quarantine(self.directory, first.object_format) as objects:
            leading = LeadingCommits(reader.rest())
            proofs = Proofs(self.histories, objects, self.max_pack_bytes)
            async with self.turns.taking_in():
                early = await proofs.early(first, leading) if moves else None
            if early and push.is_settled(early):
                await push.settle(early, leading.everything(), None)
                return
            async with self.turns.taking_in():
                whole = leading.everything() if push.commands.expects_pack else None
                judged, pack = await proofs.complete(first, whole)
            chunks, length = (_file(pack), pack.stat().st_size) if pack else (_nothing(), 0)
            await push.settle(judged, chunks, length)


@dataclass(slots=True)
class _Push:
    """One push on its way to its end."""

    commands: PushCommands
    answer: _Answer
    judge: Judge
    was_judged: bool = False  # and that was recorded

    def is_settled(self, judged: Judged) -> bool:
        """Whether nobody has to be asked: then nothing more is needed for judging."""
        decision = self.judge.decide(judged)
        return decision.allowed or not decision.approvable

    async def settle(self, judged: Judged, pack: AsyncIterator[bytes], length: int | None) -> None:
        """Judge it, and forward or refuse it."""
        remark = _remarks(self.commands, self.answer.say)
        self.was_judged = True
        settled = await self.judge.settle(judged, self.judge.decide(judged), remark)
        if settled.allowed:
            await self._forward(judged, pack, length)
        else:
            await self.answer.say(refuse(self.commands, settled.refusal))

    async def turn_down(self, push: Judged, refusal: Refusal) -> None:
        """Refuse it; what was not judged is written down here."""
        if not self.was_judged:
            self.judge.turned_down(push, "; ".join(refusal.remarks))
        await self.answer.say(refuse(self.commands, refusal))

    async def _forward(self, judged: Judged, pack: AsyncIterator[bytes], length: int | None) -> None:
        upstream, judge = judged.upstream, self.judge
        judge.begin(judged)
        arrived: bool | None = None
        try:
            arrived = await forward(upstream, self.commands, pack, length, self.answer.pass_on)
        except BaseException as error:
            # The answer is lost, not the push: only the remote knows what became of it.
            arrived = await look(upstream, judged.updates)
            await judge.done(judged, arrived=arrived, answered=False)
            if isinstance(error, Denied):
                raise _LOST[arrived](error) from error
            raise
        await judge.done(judged, arrived=arrived, answered=True)


class _Answer:
    """What goes to the client: remarks first, then one report."""

    def __init__(self, send: Send) -> None:
        self.say = send
        self.begun = False  # the remote's own report: nothing may be put in its place any more

    async def pass_on(self, data: bytes) -> None:
        self.begun = True
        await self.say(data)


_LOST: Final[dict[bool | None, Callable[[Denied], Denied]]] = {
    True: lambda error: Denied(f"{error.message} But the push arrived.", hint="See it with: git fetch"),
    False: lambda error: Denied(f"{error.message} Nothing of the push arrived.", hint=error.hint),
    None: lambda error: Denied(
        f"{error.message} Whether the push arrived is not known.", hint="Look with: git fetch"
    ),
}


def _whole(commands: PushCommands, error: Denied) -> Refusal:
    """Refuse each ref for the same reason."""
    refs = {update.ref: error.message for update in commands.updates}
    return Refusal(refs, tuple(filter(None, (error.message, error.hint))))


async def _check_symbolic(upstream: Upstream, commands: PushCommands, object_format: str) -> None:
    """Refuse to move a ref through another name of it. Raises `Denied`."""
    moved = [update.ref for update in commands.updates if not update.creates]
    for ref, target in (await symbolic(upstream, moved, object_format)).items():
        raise Denied(
            f"{printable(ref)} is only another name for {printable(target)} at the remote.",
            hint=f"Push to {printable(target)} itself, if that is what is meant.",
        )


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
    source = _Source(head, pack)
    body = Body(source.chunks(), None if length is None else len(head) + length)
    report = bytearray()
    try:
        async with upstream.request(RECEIVE_PACK, body, "") as chunks:
            async for chunk in chunks:
                _gather(report, chunk, upstream)
                await send(chunk)
    except UpstreamError as error:
        raise source.failure or error from error
    return _taken(bytes(report), commands)


def _gather(report: bytearray, chunk: bytes, upstream: Upstream) -> None:
    report += chunk
    if len(report) > _MAX_REPORT:
        raise UpstreamError(f"{upstream.url} answers a push without end.")


class _Source:
    """The body of a push, and what broke it off when that was the client's side."""

    def __init__(self, head: bytes, pack: AsyncIterator[bytes]) -> None:
        self._head = head
        self._pack = pack
        self.failure: Denied | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._head
        try:
            async for chunk in self._pack:
                yield chunk
        except Denied as error:
            self.failure = error
            raise


def _taken(answer: bytes, commands: PushCommands) -> bool:
    """Whether the remote reported success for every ref (a client that asked for no report: unknown)."""
    lines = parse(answer)
    if "side-band-64k" in commands.capabilities:
        data = b"".join(line[1:] for line in lines if isinstance(line, bytes) and line[:1] == b"\x01")
        lines = parse(data)
    told = [line for line in lines if isinstance(line, bytes)]
    return bool(told) and not any(line.startswith(b"ng ") for line in told)


async def look(upstream: Upstream, updates: Sequence[RefUpdate]) -> bool | None:
    """Ask the remote whether a push of unknown outcome arrived; None when it cannot be asked.

    It may still be at work on the push: "no" is believed when it was said several times.
    """
    for pause in (*_ASK_AGAIN_AFTER, None):
        try:
            now = await advertised(upstream)
        except (Denied, OSError):
            return None
        if all(now.refs.get(update.ref, now.null_id) == update.new for update in updates):
            return True
        if pause is not None:
            await asyncio.sleep(pause)
    return False


async def _file(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
