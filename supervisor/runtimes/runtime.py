"""What runs plugins: the interface between the supervisor and processes or containers.

A plugin that runs outlives the supervisor that started it; the next supervisor adopts it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from plugins.base.control import StartConfig
from plugins.base.errors import ClaudeContainerError
from supervisor.runtimes.metrics import Usage


class NotBuilt(ClaudeContainerError):
    """The image that a plugin would run in is missing, or made of something else than it would be now."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a plugin ended. Both None: that cannot be known any more."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False

    def __str__(self) -> str:
        if self.out_of_memory:
            return "was ended because it used more memory than it may"
        if self.signal is not None:
            return f"was ended by {_name(self.signal)}"
        return "ended" if self.code is None else f"ended with exit status {self.code}"


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


class Instance(Protocol):
    """One running plugin."""

    @property
    def config(self) -> StartConfig: ...

    @property
    def pid(self) -> int: ...

    @property
    def started(self) -> float:
        """Seconds since the epoch."""

    async def wait(self) -> Exit:
        """Return when it has ended. May be called any number of times."""

    async def sample(self, before: Usage | None) -> Usage | None:
        """What it uses of the machine by now; None when that cannot be known."""

    def terminate(self) -> None:
        """Ask it to end (SIGTERM). Nothing happens when it has ended."""

    def kill(self) -> None:
        """End it (SIGKILL). Nothing happens when it has ended."""


class Runtime(Protocol):
    """Starts plugins and finds those that run. Methods raise `ClaudeContainerError`."""

    @property
    def name(self) -> Literal["process", "docker"]: ...

    def watch(self, tell: Callable[[str | None], None]) -> None:
        """From now on call `tell` when plugins cannot be started at the moment, with the reason; with None
        when they can again."""

    async def check_tool(self, tool: str, path: str) -> None:
        """Raises `ClaudeContainerError` when a plugin of the tool would not find it. `path` is this machine's
        PATH for tools."""

    async def start(self, config: StartConfig) -> Instance: ...

    async def adopt(self, plugin: str) -> Instance | None:
        """Return the plugin that an earlier supervisor started, when it still runs."""

    async def found(self) -> tuple[str, ...]:
        """The plugins that an earlier supervisor started, running or not."""

    def last_words(self, plugin: str) -> str:
        """The last line of its log: often why it ended. "" when there is none."""

    async def close(self) -> None:
        """Let go of what is held for running plugins; they go on."""
