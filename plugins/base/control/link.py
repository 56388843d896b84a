"""The plugin's end of the control link: dials the supervisor, and dials again when it is gone.

What must not be lost is not here: events are in the spool and go out again after a reconnect. While
the link is down nobody can be asked, so whoever asks gets no answer, which is a no.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol

from pydantic import ValidationError

from plugins.base.control import (
    FROM_SUPERVISOR,
    Answer,
    Ask,
    Credentials,
    Forget,
    Hello,
    Lockdown,
    Message,
    SetPolicy,
    Settled,
    Stop,
    Stored,
    Tell,
    Told,
    Undo,
    Welcome,
)
from plugins.base.errors import ProtocolError
from plugins.base.events.spool import Batch, Spool
from plugins.base.serving.connection import Connection

log = logging.getLogger(__name__)

_FIRST_DELAY: Final = 0.05  # seconds
_LONGEST_DELAY: Final = 2.0
_WELCOME_WITHIN: Final = 10.0
_GATHERING: Final = 0.04  # records that come within this time go out together
_STATS_EVERY: Final = 1.0


class LinkOwner(Protocol):
    """Who acts on what the supervisor says. The methods return at once."""

    def hello(self) -> Hello: ...
    def news(self) -> list[Message]:
        """What a supervisor must know after a connect: `Ready`, when the worker stands."""
        ...

    def stats(self) -> Message: ...
    def set_policy(self, message: SetPolicy) -> None: ...
    def set_lockdown(self, message: Lockdown) -> None: ...
    def stop(self) -> None: ...
    def other(self, message: Message) -> None:
        """A message that not every plugin knows."""
        ...


class Changed:
    """Comes instead of an answer: what is in force has changed, so judge again before waiting on."""


class Question:
    """A question to the operator. `answer` returns None when no (further) answer can come."""

    def __init__(self, number: int, closed: Callable[[Question, Settled], None]) -> None:
        self.number = number
        self._closed = closed
        self._answers: asyncio.Queue[Answer | Changed | None] = asyncio.Queue()

    async def answer(self) -> Answer | Changed | None:
        return await self._answers.get()

    def give(self, answer: Answer | Changed | None) -> None:
        self._answers.put_nowait(answer)

    def close(self, settled: Settled = "") -> None:
        """No answer is wanted any more; the supervisor is told if it could still give one."""
        self._closed(self, settled)


class ControlLink:
    """Keeps one connection to the supervisor for as long as `run` runs."""

    def __init__(self, path: str, spool: Spool, owner: LinkOwner) -> None:
        self._path = path
        self._spool = spool
        self._owner = owner
        self._connection: Connection | None = None
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._questions: dict[int, Question] = {}
        self._number = 0
        self._batch: tuple[int, Batch] | None = None
        self._stored: asyncio.Future[None] | None = None
        self._appended = asyncio.Event()
        spool.on_append = self._appended.set

    @property
    def up(self) -> bool:
        return self._connection is not None

    # ------------------------------------------------------------ for the plugin

    def post(self, message: Message) -> None:
        """Send a message soon, if the link is up; what was posted goes out in order."""
        if self.up:
            self._outbox.put_nowait(message.model_dump_json().encode("utf-8"))

    def ask(self, ask: Ask) -> Question:
        """Ask; the question's number is filled in. With the link down it has no answer."""
        self._number += 1
        question = Question(self._number, self._forget)
        if not self.up:
            question.give(None)
            return question
        self._questions[question.number] = question
        self.post(ask.model_copy(update={"ask": question.number}))
        return question

    def _forget(self, question: Question, settled: Settled) -> None:
        if self._questions.pop(question.number, None) is not None:
            self.post(Forget(ask=question.number, settled=settled))

    def changed(self) -> None:
        """Another policy is in force, or a lockdown: all that wait for an answer are to be judged again."""
        for question in self._questions.values():
            question.give(Changed())

    async def drain(self, within: float) -> None:
        """Wait, not for long, until the supervisor has stored everything."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.up and self._spool.pending:
                    pause = asyncio.ensure_future(asyncio.sleep(_GATHERING))
                    await asyncio.wait([self._stored or pause, pause], return_when="ALL_COMPLETED")

    # ------------------------------------------------------------ connecting

    async def run(self) -> None:
        """Connect, converse, and connect again, until cancelled."""
        delay = _FIRST_DELAY
        while True:
            connection = await self._dial()
            if connection is not None:
                if await self._converse(connection):
                    delay = _FIRST_DELAY
                    log.info("The link to the supervisor is down; events are kept until it is back.")
                connection.close()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads reconnects
            delay = min(delay * 2, _LONGEST_DELAY)

    async def _dial(self) -> Connection | None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, self._path)
        except OSError:
            sock.close()
            return None
        except asyncio.CancelledError:
            sock.close()
            raise
        return Connection(sock)

    async def _converse(self, connection: Connection) -> bool:
        """Talk until the link breaks; False when the supervisor did not even welcome this plugin."""
        try:
            if not await self._welcomed(connection):
                return False
            self._begin(connection)
            async with asyncio.TaskGroup() as tasks:
                for work in (self._read(connection), self._write(connection), self._send_records(connection)):
                    tasks.create_task(_until_broken(work))
                tasks.create_task(self._send_stats())
        except* (ConnectionError, ProtocolError, OSError) as errors:
            log.debug("The control link ended: %s", errors.exceptions[0])
        finally:
            self._end()
            connection.close()
        return True

    async def _welcomed(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(_WELCOME_WITHIN):
                await connection.send(self._owner.hello().model_dump_json().encode("utf-8"))
                frame = await connection.receive()
        except (TimeoutError, OSError, ProtocolError):
            return False
        if frame is None or not isinstance(_parse(frame.data), Welcome):
            log.warning("The supervisor does not know this plugin (any more); asking again.")
            return False
        return True

    def _begin(self, connection: Connection) -> None:
        log.info("Connected to the supervisor.")
        self._connection = connection
        self._outbox = asyncio.Queue()
        self._spool.send_again()
        self._appended.set()
        for message in self._owner.news():
            self.post(message)

    def _end(self) -> None:
        self._connection = None
        self._batch = None
        if self._stored is not None and not self._stored.done():
            self._stored.cancel()
        questions, self._questions = self._questions, {}
        for question in questions.values():
            question.give(None)

    # ------------------------------------------------------------ reading

    async def _read(self, connection: Connection) -> None:
        while (frame := await connection.receive()) is not None:
            self._take(_parse(frame.data))

    def _take(self, message: Message | None) -> None:
        match message:
            case Stored():
                self._take_stored(message.batch)
            case Answer():
                self._take_answer(message)
            case SetPolicy():
                self._owner.set_policy(message)
            case Lockdown():
                self._owner.set_lockdown(message)
            case Stop():
                self._owner.stop()
            case Credentials() | Undo() | Tell() | Told():
                self._owner.other(message)

    def _take_answer(self, answer: Answer) -> None:
        if answer.outcome == "waiting":
            question = self._questions.get(answer.ask)
        else:
            question = self._questions.pop(answer.ask, None)
        if question is not None:
            question.give(answer)

    def _take_stored(self, number: int) -> None:
        if self._batch is None or self._batch[0] != number or self._stored is None:
            return
        self._spool.stored(self._batch[1])
        self._batch = None
        if not self._stored.done():
            self._stored.set_result(None)

    # ------------------------------------------------------------ writing

    async def _write(self, connection: Connection) -> None:
        while True:
            await connection.send(await self._outbox.get())

    async def _send_records(self, connection: Connection) -> None:
        """Send the spool's records in batches, the next when the last was stored."""
        number = 0
        while True:
            await self._appended.wait()
            await asyncio.sleep(_GATHERING)
            self._appended.clear()
            while (batch := self._spool.take()) is not None:
                number += 1
                self._batch = (number, batch)
                self._stored = asyncio.get_running_loop().create_future()
                await connection.send(_record(number, batch))
                await self._stored

    async def _send_stats(self) -> None:
        last: Message | None = None
        while True:
            stats = self._owner.stats()
            if stats != last:
                self.post(stats)
                last = stats
            await asyncio.sleep(_STATS_EVERY)


LinkFactory = Callable[[str, Spool, LinkOwner], ControlLink]  # path of the control socket first


async def _until_broken(work: Coroutine[Any, Any, None]) -> None:
    """Run one direction; when it ends, the whole link has ended."""
    await work
    raise ConnectionResetError("the supervisor closed the link")


def _parse(data: bytes) -> Message | None:
    """A message of the supervisor; None for one of a newer version."""
    try:
        return FROM_SUPERVISOR.validate_json(data)
    except ValidationError:
        log.warning("The supervisor sent a message that this plugin does not understand.")
        return None


def _record(number: int, batch: Batch) -> bytes:
    """A `Record` message around lines that are JSON already."""
    return b'{"type":"record","batch":%d,"events":[%b],"outcomes":[%b]}' % (
        number,
        b",".join(batch.events),
        b",".join(batch.outcomes),
    )
