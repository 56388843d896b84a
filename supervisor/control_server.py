"""The socket that plugins dial. Who cannot show the token of a start of ours gets no word back."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from plugins.base.control import Hello
from plugins.base.errors import ProtocolError
from plugins.base.serving.connection import Connection
from plugins.base.serving.protocol import MAX_FRAME
from supervisor.control_link import Handler, PluginLink, parse
from supervisor.home import Home
from supervisor.unix_server import listen, serve

_PATIENCE = 5.0  # seconds until the first message
_MOST = 128  # connections


class ControlServer:
    """Listens from the moment it is made."""

    def __init__(self, home: Home, handler: Handler) -> None:
        self._path = home.control_socket
        self._handler = handler
        self._socket = listen(self._path)

    async def run(self) -> NoReturn:
        await serve(self._socket, self._converse, most=_MOST, max_frame=MAX_FRAME)

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    async def _converse(self, connection: Connection) -> None:
        hello = await _hello(connection)
        if not self._handler.admit(hello):
            raise ProtocolError("Somebody without a valid token called the control socket.")
        await PluginLink(connection, hello).run(self._handler)


async def _hello(connection: Connection) -> Hello:
    try:
        async with asyncio.timeout(_PATIENCE):
            frame = await connection.receive()
    except TimeoutError:
        raise ProtocolError("Somebody called the control socket and said nothing.") from None
    message = parse(frame) if frame else None
    if not isinstance(message, Hello):
        raise ProtocolError("Somebody called the control socket without saying hello.")
    return message
