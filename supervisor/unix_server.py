"""Listening on a Unix socket that only its owner may use."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

from plugins.base.errors import ClaudeContainerError
from plugins.base.serving.connection import Connection
from plugins.base.serving.protocol import MAX_FRAME

log = logging.getLogger(__name__)

_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED
_PAUSE = 0.25  # seconds to wait when no descriptor is free


class UnixServer:
    """Listens from the moment it is made. `handle` gets each connection, at most `most` at once."""

    def __init__(self, path: Path, handle: Callable[[Connection], Awaitable[None]], *, most: int) -> None:
        self._path = path
        self._handle = handle
        self._most = most
        self._socket = listen(path)

    async def run(self) -> NoReturn:
        await serve(self._socket, self._handle, most=self._most, max_frame=MAX_FRAME)

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


def listen(path: Path) -> socket.socket:
    """Listen on `path` (0600), in place of a socket left over. Raises `ClaudeContainerError`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        path.unlink(missing_ok=True)
        os.fchmod(sock.fileno(), 0o600)  # the file gets the mode that the socket has when it is bound
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise ClaudeContainerError(
            f"Cannot listen on {path}: {error.strerror}.", hint="Make the home writable for you."
        ) from error
    return sock


def peer(sock: socket.socket) -> tuple[int, int]:
    """Process number and user id of who connected."""
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return pid, uid


async def serve(
    sock: socket.socket, handle: Callable[[Connection], Awaitable[None]], *, most: int, max_frame: int
) -> NoReturn:
    """Handle each connection of this user (or root) in a task of its own, at most `most` at once.

    What goes wrong in one ends that one alone.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        active: set[asyncio.Task[None]] = set()
        while True:
            try:
                client, _ = await loop.sock_accept(sock)
            except OSError as error:
                log.warning("Cannot accept a connection: %s", error)
                await asyncio.sleep(_PAUSE)
                continue
            if peer(client)[1] not in (os.geteuid(), 0) or len(active) >= most:
                client.close()
                continue
            task = group.create_task(_guarded(Connection(client, max_frame=max_frame), handle))
            active.add(task)
            task.add_done_callback(active.discard)


async def _guarded(connection: Connection, handle: Callable[[Connection], Awaitable[None]]) -> None:
    try:
        await handle(connection)
    except (ConnectionError, ClaudeContainerError) as error:
        log.info("A connection ended: %s", error)
    except Exception:
        log.exception("A connection ended by a mistake of the program")
    finally:
        connection.close()
