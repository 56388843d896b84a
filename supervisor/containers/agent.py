"""A container of the agent: made, attached to, waited for, and removed whatever happens. Blocking.

It belongs to the process that made it, which is noted on it: where that is gone, it is a leftover.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from supervisor.containers.calls import ContainerCalls
from supervisor.containers.engine_errors import EngineError
from supervisor.containers.facts import Container
from supervisor.containers.names import LABEL_INSTANCE, LABEL_RUNNER, REPOSITORY
from supervisor.runtimes import procfs

# Of all keys, engines hold Ctrl-P back, and detach on Ctrl-P Ctrl-Q: these bytes come from no keyboard.
_NO_DETACHING: Final = b"\xff,\xff"


@dataclass(frozen=True, slots=True)
class AgentContainer:
    """One container, by its name. Methods raise `EngineError`s."""

    calls: ContainerCalls
    name: str

    @classmethod
    def named(cls, calls: ContainerCalls) -> AgentContainer:
        """One that is yet to be created, with a name that nothing else has."""
        return cls(calls, f"{REPOSITORY}-{calls.instance}-agent-{secrets.token_hex(4)}")

    def create(self, wanted: Container, image: str, *, tty: bool, environment: Mapping[str, str]) -> None:
        self.calls.create(
            replace(
                wanted, name=self.name, tty=tty, labels={**wanted.labels, LABEL_RUNNER: _this_process()},
                environment={**wanted.environment, **environment},
            ),
            image,
        )  # fmt: skip

    @contextmanager
    def attach(self) -> Iterator[socket.socket]:
        """Its stdin, stdout and stderr as one stream; to be had before it starts."""
        with self.calls.translated():
            stream = self.calls.api.attach_socket(
                self.name, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1, "detachKeys": _NO_DETACHING}
            )
        # The SDK gives a read-only file around the socket. A copy of the descriptor outlives both.
        copy = socket.socket(fileno=os.dup(stream.fileno()))
        try:
            yield copy
        finally:
            # Not only our copy is to end: an engine does not remove what still writes to somebody.
            with suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)
            copy.close()

    def start(self) -> None:
        with self.calls.translated():
            self.calls.api.start(self.name)

    def resize(self, rows: int, columns: int) -> None:
        with suppress(EngineError), self.calls.translated():
            self.calls.api.resize(self.name, rows, columns)

    def signal(self, signum: int) -> None:
        """Send a signal to what runs in it; nothing happens when it has ended."""
        with suppress(EngineError), self.calls.translated():
            self.calls.api.kill(self.name, signum)

    def wait(self) -> int:
        """The exit status, when it has ended."""
        with self.calls.translated():
            return int(self.calls.api.wait(self.name)["StatusCode"])

    def remove(self) -> bool:
        """Remove it, running or not; False when it is not there."""
        there = self.calls.look(self.name) is not None
        if there:
            self.calls.remove(self.name)
        return there


def remove_left_over(calls: ContainerCalls) -> list[str]:
    """Remove the agents' containers of this instance whose process is gone; returns their names."""
    with calls.translated():
        wanted = [f"{LABEL_INSTANCE}={calls.instance}", LABEL_RUNNER]
        listed = calls.api.containers(all=True, filters={"label": wanted})
    left = [each for each in listed if not _lives(str(each["Labels"].get(LABEL_RUNNER, "")))]
    for each in left:
        calls.remove_at_once(str(each["Id"]))
    return [str(each["Names"][0]).lstrip("/") for each in left]


def _this_process() -> str:
    return _mark(os.getpid())


def _mark(pid: int) -> str:
    """Tells a process from later ones with its number."""
    found = procfs.stat(pid)
    return f"{procfs.boot_id()} {pid} {found.start if found is not None else 0}"


def _lives(mark: str) -> bool:
    pid = mark.split()[1] if len(mark.split()) == 3 else ""
    return pid.isdecimal() and _mark(int(pid)) == mark
