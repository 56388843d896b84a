"""A container of the agent: made, attached to, waited for, and removed whatever happens. Blocking.

It belongs to the process that made it, which is noted on it: where that is gone, it is a leftover.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from supervisor.containers.calls import ContainerCalls
from supervisor.containers.engine_errors import EngineError, NotThere, Taken
from supervisor.containers.facts import LABEL_INSTANCE, LABEL_RUNNER, REPOSITORY, Container
from supervisor.runtimes import procfs

# Of all keys, engines hold Ctrl-P back, and detach on Ctrl-P Ctrl-Q: these bytes come from no keyboard.
_NO_DETACHING: Final = b"\xff,\xff"


@dataclass(frozen=True, slots=True)
class AgentContainer:
    """One container, by its name. Methods raise `EngineError`s."""

    api: Any
    translated: Callable[[], AbstractContextManager[None]]
    instance: str
    name: str

    @classmethod
    def named(
        cls, api: Any, translated: Callable[[], AbstractContextManager[None]], instance: str
    ) -> AgentContainer:
        """One that is yet to be created, with a name that nothing else has."""
        return cls(api, translated, instance, f"{REPOSITORY}-{instance}-agent-{secrets.token_hex(4)}")

    def create(self, wanted: Container, image: str, *, tty: bool, environment: Mapping[str, str]) -> None:
        self._calls.create(
            replace(
                wanted, name=self.name, tty=tty, labels={**wanted.labels, LABEL_RUNNER: _this_process()},
                environment={**wanted.environment, **environment},
            ),
            image,
        )  # fmt: skip

    @property
    def _calls(self) -> ContainerCalls:
        return ContainerCalls(self.api, self.translated, self.instance)

    @contextmanager
    def attach(self) -> Iterator[socket.socket]:
        """Its stdin, stdout and stderr as one stream; to be had before it starts."""
        with self.translated():
            stream = self.api.attach_socket(
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
        with self.translated():
            self.api.start(self.name)

    def resize(self, rows: int, columns: int) -> None:
        with suppress(EngineError), self.translated():
            self.api.resize(self.name, rows, columns)

    def signal(self, signum: int) -> None:
        """Send a signal to what runs in it; nothing happens when it has ended."""
        with suppress(EngineError), self.translated():
            self.api.kill(self.name, signum)

    def wait(self) -> int:
        """The exit status, when it has ended."""
        with self.translated():
            return int(self.api.wait(self.name)["StatusCode"])

    def remove(self) -> bool:
        """Remove it, running or not; False when it is not there."""
        there = self._calls.look(self.name) is not None
        if there:
            self._calls.remove(self.name)
        return there


def remove_left_over(
    api: Any, translated: Callable[[], AbstractContextManager[None]], instance: str
) -> list[str]:
    """Remove the agents' containers of this instance whose process is gone; returns their names."""
    with translated():
        wanted = [f"{LABEL_INSTANCE}={instance}", LABEL_RUNNER]
        listed = api.containers(all=True, filters={"label": wanted})
    left = [each for each in listed if not _lives(str(each["Labels"].get(LABEL_RUNNER, "")))]
    for each in left:
        with suppress(NotThere, Taken), translated():
            api.remove_container(each["Id"], force=True, v=True)
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
