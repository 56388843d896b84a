"""What happens to containers, as an engine tells it: followed for as long as the runtime lives.

Nothing is polled but whether a silent engine still answers. When the engine goes away it is called again
and again, with bounded pauses; after each connect whoever listens looks at all containers once, because
what happened meanwhile was told to nobody.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from supervisor.containers.engine_errors import EngineAway, EngineError
from supervisor.containers.off_loop import off_loop
from supervisor.containers.stream import Stream

_FIRST_DELAY, _LONGEST_DELAY = 0.2, 5.0  # seconds between calls of an engine that does not answer
_SILENCE: Final = 15.0  # seconds without an event, after which the engine is asked whether it is there
_ENDS: Final = frozenset({"die", "died", "destroy", "remove"})  # Docker's words, and Podman's


@dataclass(frozen=True, slots=True)
class Ended:
    """A container does not run any more. `exit_code` is None when the engine did not say."""

    container: str  # its id
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A connected engine: how to get its events, and to ask whether it is there. Both block."""

    events: Callable[[], Stream]
    ping: Callable[[], None]
    translated: Callable[[], AbstractContextManager[None]]


class Listener:
    """What becomes of events. The methods are called in the event loop."""

    async def connect(self) -> Source:
        """Connect to the engine. Raises `EngineError`."""
        raise NotImplementedError

    async def connected(self) -> None:
        """Events come in from now on: look what happened before."""

    def ended(self, event: Ended) -> None:
        """A container ended."""

    def lost(self, error: EngineError) -> None:
        """The engine does not answer, for now."""


async def follow(listener: Listener) -> NoReturn:
    """Follow the events until cancelled."""
    delay = _FIRST_DELAY
    while True:
        try:
            source = await listener.connect()
            async with aclosing(_events(source)) as events:
                await listener.connected()
                delay = _FIRST_DELAY
                async for event in events:
                    listener.ended(event)
        except EngineError as error:
            listener.lost(error)
        await asyncio.sleep(delay)
        delay = min(delay * 2, _LONGEST_DELAY)


async def _events(source: Source) -> AsyncGenerator[Ended, None]:
    """The events of one connection. Raises `EngineError` when it ends, or the engine hangs."""
    stream = await off_loop(source.events)
    queue: asyncio.Queue[Ended | EngineError] = asyncio.Queue()
    _read_in_a_thread(stream, source, queue)
    try:
        while True:
            yield await _next(queue, source.ping)
    finally:
        with suppress(Exception):  # whatever is left of it
            stream.close()


async def _next(queue: asyncio.Queue[Ended | EngineError], ping: Callable[[], None]) -> Ended:
    while True:
        try:
            async with asyncio.timeout(_SILENCE):
                item = await queue.get()
        except TimeoutError:
            await off_loop(ping)
            continue
        if isinstance(item, EngineError):
            raise item
        return item


def _read_in_a_thread(stream: Stream, source: Source, queue: asyncio.Queue[Ended | EngineError]) -> None:
    loop = asyncio.get_running_loop()

    def put(item: Ended | EngineError) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def read() -> None:
        try:
            with source.translated(), stream:
                for message in stream:
                    if (event := parse(message)) is not None:
                        put(event)
        except EngineError as error:
            put(error)
        except Exception as error:
            put(EngineAway(f"The container engine's events cannot be read: {error}."))
        else:
            put(EngineAway("The container engine went away.", hint="It is tried again by itself."))

    threading.Thread(target=read, name="engine-events", daemon=True).start()


def parse(untrusted_message: Mapping[str, Any]) -> Ended | None:
    """The event in a message; None for those that say nothing about an end."""
    action = str(untrusted_message.get("Action") or untrusted_message.get("status") or "")
    actor = untrusted_message.get("Actor") or {}
    container = str(actor.get("ID") or untrusted_message.get("id") or "")
    if action not in _ENDS or not container:
        return None
    attributes = actor.get("Attributes") or {}
    code = str(attributes.get("exitCode") or attributes.get("containerExitCode") or "")
    return Ended(container, int(code) if code.isdecimal() else None)
