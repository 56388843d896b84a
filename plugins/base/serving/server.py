"""The agent's socket: who may connect, how many at a time, and where the socket lies.

The socket appears under its name only when it is complete: bound, with its permissions, listening. Its
directory is opened once, without following a symlink in its place, and used through that descriptor.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import Policy
from plugins.base.serving.session import MOST_LARGE, Session, failure

log = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 1024  # most of them waiting: see `judging.MOST_COMMANDS`
_BACKLOG: Final = 512
_CREDENTIALS: Final = struct.Struct("iII")
_DEFAULT_MODE: Final = 0o660
_PAUSE: Final = 0.1  # seconds without accepting when descriptors run out
_END_WITHIN: Final = 5.0  # seconds for callers to take their last frames when the plugin stops
_SAY_AGAIN: Final = 60.0  # seconds until a stranger is logged again

SessionFactory = Callable[[socket.socket, str, asyncio.Semaphore], Session]


class Server:
    """Accepts connections and keeps their sessions."""

    def __init__(self, path: str, workspace: str, make_session: SessionFactory) -> None:
        self._path = Path(path)
        self._make_session = make_session
        self._loop = asyncio.get_running_loop()
        self._large = asyncio.Semaphore(MOST_LARGE)
        self._sessions: dict[asyncio.Task[None], Session] = {}
        self._owner = Path(workspace).stat()
        self._standard_uids = frozenset({0, os.getuid(), self._owner.st_uid})
        self._uids = self._standard_uids
        self._mode = _DEFAULT_MODE
        self._directory = -1
        self._listener: socket.socket | None = None
        self._identity = (0, 0)
        self._strangers: dict[int, float] = {}

    # ------------------------------------------------------------ the socket

    def start(self) -> None:
        """Listen; callers queue until `accept`. Raises `ClaudeContainerError` when that cannot be."""
        try:
            self._directory = os.open(
                self._path.parent, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_RDONLY | os.O_CLOEXEC
            )
            self._refuse_to_replace()
            self._listener = self._listen()
        except OSError as error:
            self._close_directory()
            raise ClaudeContainerError(
                f"Cannot listen on {self._path}: {error.strerror or error}.",
                hint="See that its directory is a real, writable one.",
            ) from error

    def accept(self) -> None:
        """Serve those who wait, and those to come."""
        self._resume()

    def _refuse_to_replace(self) -> None:
        """A socket left over may be replaced; one that somebody listens on, or anything else, not."""
        try:
            mode = os.stat(self._path.name, dir_fd=self._directory, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise FileExistsError(None, "something that is not a socket is there")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            with suppress(ConnectionRefusedError, FileNotFoundError):
                probe.connect(self._through_directory(self._path.name))
                raise FileExistsError(None, "another plugin listens there")

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        new = f".{self._path.name}.{os.getpid()}"
        try:
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=self._directory)
            listener.bind(self._through_directory(new))
            os.chmod(new, self._mode, dir_fd=self._directory)
            if os.geteuid() == 0 and self._owner.st_uid != 0:  # the agent is the workspace's owner
                os.chown(new, -1, self._owner.st_gid, dir_fd=self._directory)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            found = os.stat(new, dir_fd=self._directory, follow_symlinks=False)
            self._identity = (found.st_dev, found.st_ino)
            os.rename(new, self._path.name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError:
            listener.close()
            raise
        return listener

    def _through_directory(self, name: str) -> str:
        return f"/proc/self/fd/{self._directory}/{name}"

    def apply(self, policy: Policy) -> None:
        """Take over who may connect. Established connections stay."""
        listed = frozenset(policy.access.allowed_uids)
        self._uids = listed | {os.getuid()} if listed else self._standard_uids
        self._mode = policy.access.socket_permissions
        if self._is_ours():
            with suppress(OSError):
                os.chmod(self._path.name, self._mode, dir_fd=self._directory)

    def _is_ours(self) -> bool:
        if self._listener is None:
            return False
        with suppress(OSError):
            found = os.stat(self._path.name, dir_fd=self._directory, follow_symlinks=False)
            return (found.st_dev, found.st_ino) == self._identity
        return False

    # ------------------------------------------------------------ connections

    def _accept(self) -> None:
        """Take one caller in; the loop comes again for the next, and commands in between."""
        if self._listener is None:
            return
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            self._pause(error)
            return
        self._admit(sock)

    def _pause(self, error: OSError) -> None:
        """Too few descriptors: leave callers in the queue for a moment."""
        log.error("Cannot accept connections: %s", error)
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._loop.call_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener, self._accept)

    def _admit(self, sock: socket.socket) -> None:
        pid, uid, _ = _CREDENTIALS.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if uid not in self._uids:
            self._log_stranger(uid, pid)
            _turn_away(sock, f"The user with uid {uid} may not use this plugin.")
        elif len(self._sessions) >= MOST_CONNECTIONS:
            _turn_away(sock, f"The plugin is busy with {MOST_CONNECTIONS} callers; try again in a moment.")
        else:
            session = self._make_session(sock, f"uid={uid} pid={pid}", self._large)
            task = self._loop.create_task(session.run())
            self._sessions[task] = session
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._sessions[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A connection failed.", exc_info=error)

    def _log_stranger(self, uid: int, pid: int) -> None:
        now = time.monotonic()
        if now - self._strangers.get(uid, -_SAY_AGAIN) >= _SAY_AGAIN:
            self._strangers = {uid: now, **dict(list(self._strangers.items())[:100])}
            log.warning("Turned away uid=%d pid=%d: not among access.allowed_uids.", uid, pid)

    # ------------------------------------------------------------ the end

    async def stop(self) -> None:
        """Accept nothing more, end all commands, and wait for their ends."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            if self._is_ours():
                os.unlink(self._path.name, dir_fd=self._directory)
            self._listener.close()
            self._listener = None
        for session in self._sessions.values():
            session.end()
        if self._sessions:
            await asyncio.wait(list(self._sessions), timeout=_END_WITHIN)
        for session in self._sessions.values():
            session.abort()
        if self._sessions:
            await asyncio.wait(list(self._sessions))
        self._close_directory()

    def _close_directory(self) -> None:
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1


def _turn_away(sock: socket.socket, message: str) -> None:
    """Answer without reading or waiting, and close."""
    payload = failure(message)
    with suppress(OSError):
        sock.setblocking(False)
        sock.send(len(payload).to_bytes(4, "big") + payload, socket.MSG_NOSIGNAL)
    sock.close()
