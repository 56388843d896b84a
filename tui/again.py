"""Work that is asked for more often than it can be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.dom import DOMNode
from textual.worker import Worker


class Again:
    """Does one thing at a time; asked again meanwhile, does it once more afterwards.

    What runs is never cancelled by being asked for: slow answers to frequent questions still come.
    """

    def __init__(self, owner: DOMNode, doing: Callable[[], Awaitable[None]]) -> None:
        self._owner = owner
        self._doing = doing
        self._asked = False
        self._worker: Worker[None] | None = None

    def __call__(self) -> None:
        self._asked = True
        if self._worker is None or self._worker.is_cancelled or self._worker.is_finished:
            # The function, not its coroutine: one that is cancelled before it began was never awaited.
            self._worker = self._owner.run_worker(self._run, group="again")

    async def _run(self) -> None:
        while self._asked:
            self._asked = False
            await self._doing()
