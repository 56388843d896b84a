"""One connection to a supervisor, followed: notifications in, states of the desk out.

Loaded after the first paint: it needs all the models that the supervisor speaks in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from plugins.base.errors import ClaudeContainerError
from supervisor.api.client import Client, NotRunning
from supervisor.status import Request, Status

_BATCH = 0.1  # seconds in which notifications are taken together
_MOST_DETAILS = 20  # requests whose details are fetched at once


class Following:
    """One connection's life: notifications in, states out, several notifications taken together."""

    def __init__(self, client: Client, told: Callable[..., None]) -> None:
        self._client = client
        self._told = told
        self._changes: dict[str, Any] = {}
        self._ask_requests = True
        self._policy_changes = 0
        self._details: dict[str, str] = {}  # of open requests; they never change
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Return when the connection has ended."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            try:
                self._changes = {"link": "connected", "problem": "", "status": await self._client.status()}
                await self._tell_until_done(listening)
            except (ClaudeContainerError, OSError):
                pass  # the connection is gone, which is what ends the run; the caller tells
            finally:
                listening.cancel()

    async def _tell_until_done(self, listening: asyncio.Task[None]) -> None:
        while not listening.done():
            if self._ask_requests:
                self._ask_requests = False
                await self._take_requests()
            changes, self._changes = self._changes, {}
            self._told(**changes)
            await self._wake.wait()
            await asyncio.sleep(_BATCH)
            self._wake.clear()

    async def _take_requests(self) -> None:
        try:
            self._changes["requests"] = await self._requests()
        except NotRunning:
            raise
        except ClaudeContainerError as error:  # such as a full disk: the rest is worth telling all the same
            self._ask_requests = True  # with the next notification
            self._changes["problem"] = error.message
        else:
            self._changes["problem"] = ""

    async def _requests(self) -> tuple[Request, ...]:
        """All requests; the open ones with their details, which a list does not bring along."""
        listed = await self._client.requests()
        kept = {request.id for request in listed if request.state == "open"}
        self._details = {id_: text for id_, text in self._details.items() if id_ in kept}
        for id_ in list(kept - self._details.keys())[:_MOST_DETAILS]:
            self._details[id_] = (await self._client.request(id_)).details
        return tuple(
            request.model_copy(update={"details": self._details.get(request.id, "")}) for request in listed
        )

    async def _listen(self) -> None:
        try:
            async with aclosing(self._client.notifications()) as notifications:
                async for notification in notifications:
                    self._take(notification.topic, notification.data)
                    self._wake.set()
        except (ClaudeContainerError, OSError):
            pass  # as a clean end: the connection is gone
        finally:
            self._wake.set()

    def _take(self, topic: str, data: Any) -> None:
        if topic == "status":
            self._changes["status"] = Status.model_validate(data)
        elif topic == "requests":
            self._ask_requests = True
        elif topic == "audit":
            self._changes["newest"] = int(data["newest"])
        elif topic == "policy":
            self._policy_changes += 1
            self._changes["policy_changes"] = self._policy_changes
