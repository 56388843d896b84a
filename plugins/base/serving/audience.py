"""Who hears what the tool's gateway has to say: the callers of the commands that run, on their stderr.

Tools print little of why a connection was refused. What a gateway says of it is for the agent that called,
and comes from what the agent's own code asked for: it is said once, and only so much of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from plugins.base.control import Message, Tell, Told

MOST_SAID: Final = 20  # to the caller of one command


@dataclass(slots=True)
class _Caller:
    say: Callable[[str], Awaitable[None]]
    said: set[str] = field(default_factory=set)

    async def hear(self, text: str) -> None:
        if text not in self.said and len(self.said) < MOST_SAID:
            self.said.add(text)
            await self.say(text)


class Audience:
    """The callers of one plugin, by the ids of their commands. `answer` posts to the supervisor."""

    def __init__(self, answer: Callable[[Message], None]) -> None:
        self._answer = answer
        self._callers: dict[str, _Caller] = {}
        self._telling: set[asyncio.Task[None]] = set()

    @contextmanager
    def hears(self, command: str, say: Callable[[str], Awaitable[None]]) -> Iterator[None]:
        """As long as the block runs, what is said of this command is said there."""
        self._callers[command] = _Caller(say)
        try:
            yield
        finally:
            del self._callers[command]

    def tell(self, message: Tell) -> None:
        """Say it soon, and answer when it is said."""
        task = asyncio.ensure_future(self._tell(message))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, message: Tell) -> None:
        try:
            if (caller := self._callers.get(message.command)) is not None:
                await caller.hear(message.text)
        finally:
            self._answer(Told(tell=message.tell))
