"""The API socket, for the operator's front ends: cc-tui, the command line, tests.

Only the operator's own user reaches it. A client that does not read, or asks for nonsense, harms
nobody but itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from plugins.base.errors import ClaudeContainerError, ProtocolError
from plugins.base.serving.connection import Connection
from plugins.base.serving.protocol import parse_json
from supervisor.api.messages import error_frame, result_frame
from supervisor.api.notifier import Notifier
from supervisor.api.operations import METHODS, Operations
from supervisor.home import Home
from supervisor.hub import Hub
from supervisor.unix_server import UnixServer

log = logging.getLogger(__name__)

_MOST = 64  # clients
_MOST_AT_ONCE = 16  # requests of one client; it is not read from until one is answered


class ApiServer(UnixServer):
    """See `supervisor.unix_server.UnixServer`."""

    def __init__(self, home: Home, operations: Operations, hub: Hub) -> None:
        super().__init__(home.api_socket, self._converse, most=_MOST)
        self._operations = operations
        self._hub = hub

    async def _converse(self, connection: Connection) -> None:
        await _Session(connection, self._operations, self._hub).run()


class _Session:
    """One client."""

    def __init__(self, connection: Connection, operations: Operations, hub: Hub) -> None:
        self._connection = connection
        self._operations = operations
        self._hub = hub
        self._notifier = Notifier(connection.send, operations.snapshot)
        self._room = asyncio.Semaphore(_MOST_AT_ONCE)
        self._operator = False
        self._leave: Callable[[], None] | None = None

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._notifier.run())
                while (frame := await self._connection.receive()) is not None:
                    for descriptor in frame.fds:
                        os.close(descriptor)
                    number, method, params = _request(frame.data)
                    await self._room.acquire()
                    group.create_task(self._answer(number, method, params))
                raise ConnectionResetError("the client closed the connection")
        except* (ConnectionError, ProtocolError) as errors:
            log.debug("An API client left: %s", errors.exceptions[0])
        finally:
            if self._leave is not None:
                self._leave()
            if self._operator:
                self._operations.detach()

    async def _answer(self, number: int, method: str, params: dict[str, Any]) -> None:
        try:
            await self._connection.send(await self._outcome(number, method, params))
        finally:
            self._room.release()

    async def _outcome(self, number: int, method: str, params: dict[str, Any]) -> bytes:
        try:
            return result_frame(number, await self._call(method, params))
        except ClaudeContainerError as error:
            return error_frame(number, error)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, problem["loc"]))
            return error_frame(number, ClaudeContainerError(f"{method}: {where}: {problem['msg']}."))
        except Exception:
            log.exception("An API request (%s) failed by a mistake of the program", method)
            hint = "See: claude-container logs supervisor"
            return error_frame(number, ClaudeContainerError("The supervisor made a mistake.", hint=hint))

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        match method:
            case "attach":
                return self._attach()
            case "subscribe":
                return self._subscribe()
            case _ if method in METHODS:
                return await getattr(self._operations, method)(**params)
        raise ClaudeContainerError(
            f"The supervisor does not know the method {method[:40]!r}.",
            hint="Restart it, so that it is of the same version: claude-container stop, then start.",
        )

    def _attach(self) -> None:
        """An operator sits at this client, and answers."""
        if not self._operator:
            self._operator = True
            self._operations.attach()

    def _subscribe(self) -> None:
        if self._leave is None:
            self._leave = self._hub.listen(self._notifier)
        self._notifier.everything()


def _request(untrusted_data: bytes) -> tuple[int, str, dict[str, Any]]:
    """Return id, method and parameters. Raises `ProtocolError`."""
    match parse_json(untrusted_data):
        case {"id": int(number), "method": str(method), **rest}:
            params = rest.get("params", {})
            if isinstance(params, dict) and not isinstance(number, bool):
                return number, method, params
    raise ProtocolError("An API request has an id, a method and params.")
