"""A supervisor for tests of plugins: a real control socket, and answers that the test chooses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from plugins.base.control import (
    FROM_PLUGIN,
    Answer,
    Applied,
    Ask,
    AuditEvent,
    Forget,
    FromPlugin,
    Hello,
    Lockdown,
    Message,
    Outcome,
    Ready,
    Record,
    SetPolicy,
    Stats,
    Stop,
    Stored,
    Tell,
    Told,
    Welcome,
)
from plugins.base.policy import policy_hash
from plugins.base.serving.connection import Connection

WITHIN = 20.0  # seconds that anything may take before a test gives up


class FakeSupervisor:
    """Keeps all that plugins said; `ready` and `applied` since the last hello.

    `on_hello` tells what to send after the welcome, `on_ask` what a question is answered with.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hellos: list[Hello] = []
        self.ready: list[Ready] = []
        self.applied: list[Applied] = []
        self.asks: list[Ask] = []
        self.forgotten: list[int] = []
        self.settled: list[str] = []  # what a changed policy made of those
        self.tells: list[Tell] = []
        self.told: list[int] = []
        self.hands_on = True  # whether somebody hears what gateways say
        self.stats = Stats()
        self.events: dict[str, AuditEvent] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.repeated = 0  # records that came a second time
        self.storing = True
        self.on_ask: Callable[[Ask], Sequence[Message]] = lambda _: []
        self.on_hello: Callable[[Hello], list[Message]] = lambda _: []
        self.link: Connection | None = None
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None

    # ------------------------------------------------------------ life

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._listener.setblocking(False)
        self._keep(self._accept(self._listener))

    async def stop(self) -> None:
        """Go away, as a supervisor that was killed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        self.path.unlink(missing_ok=True)

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listener)
            self._keep(self._serve(Connection(sock)))

    async def _serve(self, link: Connection) -> None:
        try:
            while (frame := await link.receive()) is not None:
                await self._take(link, FROM_PLUGIN.validate_json(frame.data))
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionError:
            pass
        finally:
            if self.link is link:
                self.link = None
            link.close()

    async def _take(self, link: Connection, message: FromPlugin) -> None:
        match message:
            case Hello():
                self.hellos.append(message)
                self.forget_state()
                self.link = link
                for answer in (Welcome(), *self.on_hello(message)):
                    await self.send(answer)
            case Ready():
                self.ready.append(message)
            case Record():
                await self._store(message)
            case Applied():
                self.applied.append(message)
            case Stats():
                self.stats = message
            case Ask():
                self.asks.append(message)
                for reply in self.on_ask(message):
                    await self.send(reply)
            case Forget():
                self.forgotten.append(message.ask)
                self.settled.append(message.settled)
            case Tell():
                self.tells.append(message)
                if self.hands_on:
                    await self.send(Told(tell=message.tell))
            case Told():
                self.told.append(message.tell)

    async def _store(self, record: Record) -> None:
        if not self.storing:
            return
        for event in record.events:
            self.repeated += event.id in self.events
            self.events[event.id] = event
        for outcome in record.outcomes:
            self.repeated += outcome.id in self.outcomes
            self.outcomes[outcome.id] = outcome
        await self.send(Stored(batch=record.batch))

    # ------------------------------------------------------------ saying

    async def send(self, message: Message) -> None:
        assert self.link is not None, "no plugin is connected"
        await self.link.send(message.model_dump_json().encode())

    async def set_policy(self, text: str) -> Applied:
        """Send a policy and wait for what the plugin makes of it."""
        seen = len(self.applied)
        await self.send(SetPolicy(policy=policy_hash(text), text=text))
        await self.until(lambda: len(self.applied) > seen)
        return self.applied[-1]

    async def answer(self, ask: Ask, outcome: Any, request: str = "r1", reason: str = "") -> None:
        await self.send(Answer(ask=ask.ask, outcome=outcome, request=request, reason=reason))

    async def lockdown(self, on: bool, message: str = "") -> None:
        await self.send(Lockdown(on=on, message=message))

    async def stop_plugin(self) -> None:
        await self.send(Stop())

    # ------------------------------------------------------------ waiting

    def forget_state(self) -> None:
        """Whatever was ready and applied: the next plugin has to say it itself."""
        self.ready.clear()
        self.applied.clear()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a message made the condition true."""
        async with asyncio.timeout(WITHIN), self._changed:
            await self._changed.wait_for(lambda: bool(condition()))

    async def next_ask(self) -> Ask:
        seen = len(self.asks)
        await self.until(lambda: len(self.asks) > seen)
        return self.asks[-1]

    def verdicts(self, *args: str) -> list[str]:
        """The verdicts of the command with these arguments, oldest first."""
        return [str(event.verdict) for event in self.events.values() if event.args == args]

    async def recorded(self, *args: str, verdict: str) -> AuditEvent:
        """Wait for an event of the command with these arguments."""
        await self.until(lambda: verdict in self.verdicts(*args))
        return next(e for e in self.events.values() if e.args == args and e.verdict == verdict)

    async def ended(self, event: AuditEvent) -> Outcome:
        """Wait for the outcome of the event's command."""

        def found() -> list[Outcome]:
            return [one for one in self.outcomes.values() if one.command == event.command]

        await self.until(found)
        return found()[0]
