"""The worker's children: running commands, their process groups, and the orphans that they leave."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

GRACE: Final = 2.0  # seconds from SIGTERM to SIGKILL
# Seconds until a start is told. Most commands end before: one message for both, and nobody in their way.
TELL_AFTER: Final = 0.02
_END_WITHIN: Final = 3.0  # seconds for all descendants together, at the end


@dataclass(slots=True)
class Command:
    """A running command: its process leads a group of the same number."""

    id: int
    pid: int
    started: float
    kill_at: float | None = None


@dataclass(slots=True)
class Commands:
    """The running commands, and every orphan that they left."""

    children: int | None  # our own children, as the kernel lists them
    by_id: dict[int, Command] = field(default_factory=dict)
    by_pid: dict[int, Command] = field(default_factory=dict)
    untold: dict[int, Command] = field(default_factory=dict)  # by id, oldest first

    def add(self, identifier: int, pid: int, started: float) -> None:
        command = Command(identifier, pid, started)
        self.by_id[identifier] = self.by_pid[pid] = self.untold[identifier] = command

    def starts(self, now: float) -> Iterator[dict[str, Any]]:
        """What the server is to hear of commands that started some time ago."""
        while self.untold and self._due(now) <= 0:
            command = self.untold.pop(next(iter(self.untold)))
            yield {"started": command.id, "pid": command.pid, "at": command.started}

    def _due(self, now: float) -> float:
        return next(iter(self.untold.values())).started + TELL_AFTER - now

    def signal(self, identifier: int, signum: int) -> None:
        if (command := self.by_id.get(identifier)) is not None:
            _signal_group(command.pid, signum)

    def kill(self, identifier: int, now: float) -> None:
        """SIGTERM, and what is still there after the grace gets SIGKILL."""
        command = self.by_id.get(identifier)
        if command is not None and command.kill_at is None:
            command.kill_at = now + GRACE
            _signal_group(command.pid, signal.SIGTERM)
            _signal_group(command.pid, signal.SIGCONT)

    def overdue(self, now: float) -> float | None:
        """Kill what had its grace; returns the seconds until there is something to kill or to tell."""
        waits = [max(0.0, self._due(now))] if self.untold else []
        for command in self.by_id.values():
            if command.kill_at is None:
                continue
            if command.kill_at <= now:
                _signal_group(command.pid, signal.SIGKILL)
            else:
                waits.append(command.kill_at - now)
        return min(waits, default=None)

    def reap(self) -> Iterator[dict[str, Any]]:
        """Collect all that ended, orphans too; what the server is to hear comes as soon as it is known.

        A leader stays a zombie until the rest of its group is killed: no other group can have its number yet.
        A daemon in a session of its own lives on.
        """
        while (dead := _next_dead()) is not None:
            command = self.by_pid.pop(dead, None)
            if command is not None:
                _signal_group(dead, signal.SIGKILL)
            _, status = os.waitpid(dead, 0)
            if command is not None:
                del self.by_id[command.id]
                self.untold.pop(command.id, None)
                yield _ended(command, status)

    def end_all(self) -> None:
        """Kill everything below this process, generation by generation, as orphans come to it."""
        deadline = time.monotonic() + _END_WITHIN
        while (children := self._children()) and time.monotonic() < deadline:
            for pid in children:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            for _ in self.reap():
                pass

    def _children(self) -> list[int]:
        """Our children, adopted orphans too; without the kernel's list, the commands alone."""
        if self.children is None:
            return list(self.by_pid)
        return [int(pid) for pid in os.pread(self.children, 1 << 20, 0).split()]


def _next_dead() -> int | None:
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found is not None else None


def _ended(command: Command, status: int) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(status)
    milliseconds = (time.monotonic() - command.started) * 1000
    signum = -code if code < 0 else None
    return {
        "ended": command.id,
        "exit_code": 128 - code if code < 0 else code,
        "signal": signum,
        "ms": milliseconds,
        "pid": command.pid,
        "at": command.started,
    }


def _signal_group(group: int, signum: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)
