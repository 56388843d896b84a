"""The front ends' way to the running supervisor: one connection over the API socket of a home."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from plugins.base.errors import ClaudeContainerError, ProtocolError
from plugins.base.serving.connection import Connection
from plugins.base.serving.protocol import encode, parse_json
from supervisor.api.messages import rebuild
from supervisor.home import Home
from supervisor.status import PluginStatus, Request, Status

_HINT = "Start it with: claude-container start"


class NotRunning(ClaudeContainerError):
    """There is no supervisor on this home, or it went away."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Something changed; `data` is how it is now."""

    topic: str
    data: Any


class Client:
    """A connection. Every method raises `NotRunning` when the supervisor went away, and what it answers.

    Use it in one event loop, from any number of tasks.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._news: dict[str, Any] = {}  # by topic: the latest only
        self._news_came = asyncio.Event()
        self._ended = False
        self._reader = asyncio.create_task(self._read(), name="supervisor-client")

    @classmethod
    async def connect(cls, home: Home, *, operator: bool = False) -> Client:
        """Connect. With `operator`, blocked commands are held for this client's answers."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            await asyncio.get_running_loop().sock_connect(sock, str(home.api_socket))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
            sock.close()
            raise NotRunning(f"No supervisor runs on {home.root}.", hint=_HINT) from error
        except OSError as error:
            sock.close()
            raise ClaudeContainerError(f"Cannot use {home.api_socket}: {error.strerror}.") from error
        except BaseException:
            sock.close()
            raise
        client = cls(Connection(sock))
        try:
            if operator:
                await client._call("attach")
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """Disconnect. A second call does nothing."""
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        self._end()

    # ------------------------------------------------------------ requests

    async def status(self) -> Status:
        return Status.model_validate(await self._call("status"))

    async def start_plugin(self, name: str) -> PluginStatus:
        """Returns when the plugin runs, or when it is known that it does not; as do the next three."""
        return PluginStatus.model_validate(await self._call("start_plugin", name=name))

    async def stop_plugin(self, name: str) -> PluginStatus:
        return PluginStatus.model_validate(await self._call("stop_plugin", name=name))

    async def restart_plugin(self, name: str) -> PluginStatus:
        return PluginStatus.model_validate(await self._call("restart_plugin", name=name))

    async def add_plugin(self, name: str, text: str | None = None) -> PluginStatus:
        """Put a tool under this policy (else under the shipped example, else under one without rules)."""
        return PluginStatus.model_validate(await self._call("add_plugin", name=name, text=text))

    async def remove_plugin(self, name: str) -> None:
        await self._call("remove_plugin", name=name)

    async def requests(self) -> list[Request]:
        return [Request.model_validate(request) for request in await self._call("requests")]

    async def request(self, id: str) -> Request:
        return Request.model_validate(await self._call("request", id=id))

    async def approve(
        self, id: str, mode: Literal["once", "time"] = "once", minutes: float | None = None
    ) -> Request:
        return Request.model_validate(await self._call("approve", id=id, mode=mode, minutes=minutes))

    async def approve_always(self, id: str, text: str, base_hash: str) -> Request:
        """Save `text` as the policy and let through what waits. Raises as `save_policy` does."""
        answer = await self._call("approve_always", id=id, text=text, base_hash=base_hash)
        return Request.model_validate(answer)

    async def deny(self, id: str, reason: str = "") -> Request:
        return Request.model_validate(await self._call("deny", id=id, reason=reason))

    async def undo(self, id: str) -> list[str]:
        """Put back what an approved push took away; returns the refs."""
        return [str(ref) for ref in await self._call("undo", id=id)]

    async def renew_credentials(self, values: dict[str, str]) -> list[str]:
        """Hand new values of credentials to the gateways; returns the names that were taken over."""
        return [str(name) for name in await self._call("renew_credentials", values=values)]

    async def lockdown(self, on: bool, message: str = "") -> None:
        await self._call("lockdown", on=on, message=message)

    async def save_policy(self, plugin: str, text: str, base_hash: str) -> str:
        """Returns the new hash. Raises `PolicyError` and `PolicyConflict` as `PolicyStore.save` does."""
        return str(await self._call("save_policy", plugin=plugin, text=text, base_hash=base_hash))

    async def shutdown(self) -> None:
        """Let the supervisor stop its plugins and end; returns before it has."""
        await self._call("shutdown")

    async def notifications(self) -> AsyncGenerator[Notification, None]:
        """Yield what changed, beginning with everything as it is now; ends when the connection does.

        Whoever is slow gets the latest state of each topic, not every one.
        """
        await self._call("subscribe")
        while not self._ended:
            while self._news:
                topic = next(iter(self._news))
                yield Notification(topic, self._news.pop(topic))
            self._news_came.clear()
            if not self._ended:
                await self._news_came.wait()

    # ------------------------------------------------------------ the connection

    async def _call(self, method: str, **params: Any) -> Any:
        if self._ended:
            raise _gone()
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await self._connection.send(encode({"id": number, "method": method, "params": params}))
            return await answer
        except ConnectionError as error:
            raise _gone() from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        try:
            while (frame := await self._connection.receive()) is not None:
                self._take(parse_json(frame.data))
        except (OSError, ProtocolError):
            pass  # what is left to do is the same as for a clean end
        finally:
            self._end()

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"topic": str(topic), "data": data}:
                self._news[topic] = data
                self._news_came.set()
            case {"id": int(number), **rest} if number in self._waiting:
                _settle(self._waiting[number], rest)

    def _end(self) -> None:
        self._ended = True
        self._connection.close()
        self._news_came.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(_gone())


def _settle(answer: asyncio.Future[Any], message: dict[str, Any]) -> None:
    if answer.done():
        return
    if "error" in message:
        answer.set_exception(rebuild(message["error"]))
    else:
        answer.set_result(message.get("result"))


def _gone() -> NotRunning:
    return NotRunning("The supervisor went away.", hint=_HINT)
