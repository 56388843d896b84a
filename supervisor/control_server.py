"""The socket that plugins dial. Who cannot show the token of a start of ours gets no word back."""

from __future__ import annotations

import asyncio

from plugins.base.control import Hello
from plugins.base.errors import ProtocolError
from plugins.base.serving.connection import Connection
from supervisor.control_link import Handler, PluginLink, parse
from supervisor.home import Home
from supervisor.unix_server import UnixServer

_PATIENCE = 5.0  # seconds until the first message
_MOST = 128  # connections


class ControlServer(UnixServer):
    """See `supervisor.unix_server.UnixServer`."""

    def __init__(self, home: Home, handler: Handler) -> None:
        super().__init__(home.control_socket, self._converse, most=_MOST)
        self._handler = handler

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
