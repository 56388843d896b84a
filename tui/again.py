"""Work that is asked for more often than it can be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.dom import DOMNode


class Again:
    """Does one thing at a time; asked again meanwhile, does it once more afterwards.

    What runs is never cancelled by being asked for: slow answers to frequent questions still come.
    """

    def __init__(self, owner: DOMNode, doing: Callable[[], Awaitable[None]]) -> None:
        self._owner = owner
        self._doing = doing
        self._asked = False
        self._running = False

    def __call__(self) -> None:
        self._asked = True
        if not self._running:
            self._running = True
            self._owner.run_worker(self._run(), group="again")

    async def _run(self) -> None:
        try:
            while self._asked:
                self._asked = False
                await self._doing()
        finally:
            self._running = False
