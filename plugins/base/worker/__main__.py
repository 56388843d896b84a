"""The worker process: `python -m plugins.base.worker FD`, started by `plugins.base.worker.link`.

It enters the sandbox once and then spawns what the server tells it, in the directory and with the
descriptors that the server sends. It judges nothing, keeps no descriptor longer than a spawn takes, and
ends, with everything it started, when the server closes the link or dies.

One thread, no asyncio, and everything imported before the sandbox stands: afterwards there is no
Python installation to import from.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, Final

from plugins.base.sandbox import Entered, SandboxError, SandboxSpec, enter
from plugins.base.worker.children import Commands
from plugins.base.worker.spawn import Launcher, Refused
from plugins.base.worker.wire import CHANNEL, Received, Wire

_IGNORED: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE)


class Worker:
    """Waits for the server and for children, whichever comes."""

    def __init__(self, wire: Wire, link: int, server: int, launcher: Launcher, children: int | None) -> None:
        self._wire = wire
        self._server = server
        self._launcher = launcher
        self._commands = Commands(children)
        self._woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for signum in (signal.SIGCHLD, signal.SIGHUP):  # a child ended; the server did
            signal.signal(signum, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def serve(self) -> None:
        """Work until the server closes the link or dies, then end everything.

        Anything can send SIGHUP: only a new parent shows that the server is gone.
        """
        try:
            while os.getppid() == self._server and self._step():
                pass
        finally:
            self._commands.end_all()

    def _step(self) -> bool:
        now = time.monotonic()
        for message in self._commands.starts(now):
            self._wire.send(message)
        wait = self._commands.overdue(now)
        ready = {descriptor for descriptor, _ in self._poll.poll(None if wait is None else wait * 1000 + 1)}
        if self._woken in ready:
            ready.discard(self._woken)
            with suppress(BlockingIOError):
                os.read(self._woken, 4096)
            for message in self._commands.reap():
                self._wire.send(message)
        return not ready or self._obey()

    def _obey(self) -> bool:
        received = self._wire.receive()
        if received is None:
            return False
        try:
            answer = self._do(received)
        finally:
            for descriptor in received.fds:
                os.close(descriptor)
        if answer is not None:
            self._wire.send(answer)
        return True

    def _do(self, received: Received) -> dict[str, Any] | None:
        request = received.message
        if "run" in request:
            return self._run(received)
        if "signal" in request:
            self._commands.signal(request["to"], request["signal"])
        else:
            self._commands.kill(request["kill"], time.monotonic())
        return None

    def _run(self, received: Received) -> dict[str, Any] | None:
        started = time.monotonic()
        identifier = received.message["run"]
        try:
            pid = self._launcher.spawn(received)
        except Refused as refused:
            return {"refused": identifier, "kind": refused.kind, "message": str(refused)}
        self._commands.add(identifier, pid, started)
        return None


def main(descriptor: int) -> None:
    descriptor = _beside_the_channel(descriptor)
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    wire = Wire(sock)
    first = wire.receive()
    if first is None:
        return
    request = first.message
    try:
        spec = SandboxSpec(**{key: _frozen(value) for key, value in request["spec"].items()})
        children = _prepare()
        entered = enter(spec, request["parent"])
    except (SandboxError, OSError) as error:
        wire.send({"failed": str(error), "hint": getattr(error, "hint", "")})
        return
    wire.send({"ready": _as_message(entered)})
    with suppress(ConnectionError):  # the server is gone: everything was ended
        Worker(wire, descriptor, request["parent"], Launcher.for_spec(spec), children).serve()


def _beside_the_channel(link: int) -> int:
    """The link under another number than that which each command's channel is to have."""
    if link != CHANNEL:
        return link
    other = os.dup(link)
    os.close(link)
    return other


def _prepare() -> int | None:
    """What must be opened or set before the sandbox; returns the kernel's list of our children."""
    os.chdir("/")
    os.umask(0o022)
    for signum in _IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    # The channel's number is taken here, so that no descriptor to be passed on ever has it.
    placeholder = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(placeholder, CHANNEL, inheritable=False)
    os.close(placeholder)
    try:
        return os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None  # a kernel without the list: at the end, only process groups are killed


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_message(entered: Entered) -> dict[str, Any]:
    return {
        "landlock_abi": entered.landlock_abi,
        "seccomp": entered.seccomp,
        "missing": list(entered.missing),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
