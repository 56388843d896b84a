"""What the screens stand on: the state they show, and what an operator can ask for.

`Backend` is the seam: `tui.live` talks to a real supervisor, tests use a fake. Nothing above this
seam knows a socket, a database or a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from supervisor.audit.reader import AuditFilter, AuditRow
    from supervisor.policies.replay import Difference
    from supervisor.policies.store import PolicyEdit
    from supervisor.status import PluginStatus, Request, Status

Link = Literal["connecting", "starting", "connected", "lost"]


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything the screens show of the supervisor; replaced as a whole, never changed."""

    link: Link = "connecting"
    problem: str = ""  # why the supervisor is away, when `link` is "lost"; else why `requests` are old
    status: Status | None = None
    requests: tuple[Request, ...] = ()
    newest: int = 0  # sequence number of the newest audit row
    policy_changes: int = 0  # grows whenever a policy file or what is enforced changed

    @property
    def open_requests(self) -> tuple[Request, ...]:
        return tuple(request for request in self.requests if request.state == "open")

    def goes_by(self, policy: str) -> PluginStatus | None:
        """The plugin that a policy file is for; for the agent's own, its gateway."""
        plugins = self.status.plugins if self.status else ()
        found = {plugin.name: plugin for plugin in plugins if plugin.tool_name == policy}
        return found.get(policy) or next(iter(found.values()), None)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem of a policy text; line and column count from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy file as it is on disk. The hash is what a save must name as its base."""

    text: str
    hash: str
    path: Path


@dataclass(frozen=True, slots=True)
class Version:
    """A policy that was in force once."""

    hash: str
    time: float  # seconds since the epoch
    who: str


class Matches(Protocol):
    """The audit rows that match one filter, as a list that may be of any size. For threads."""

    def count(self) -> int:
        """How many rows match now; later calls see rows that came in since."""

    def rows(self, first: int, limit: int) -> Sequence[AuditRow]:
        """Rows from index `first` (0 is the oldest match)."""


class Backend(Protocol):
    """What an operator sees and does. Methods raise `ClaudeContainerError` when it cannot be done.

    Plain methods read files or databases and may block: call them in a thread. Coroutines talk to
    the supervisor.
    """

    embedded: bool  # whether the supervisor ends with this program

    async def follow(self, tell: Callable[[Desk], None]) -> None:
        """Tell the state now and whenever it changed, until cancelled.

        Raises `ClaudeContainerError` when there is no supervisor and none can be started here.
        """

    def now(self) -> float: ...

    async def start_plugin(self, name: str) -> None: ...

    async def stop_plugin(self, name: str) -> None: ...

    async def restart_plugin(self, name: str) -> None: ...

    async def approve(
        self, request: str, mode: Literal["once", "time"], minutes: float | None = None
    ) -> None: ...

    async def always(self, request: str) -> PolicyEdit:
        """The change of the policy that would always allow what this request asks for; nothing is saved."""

    async def approve_always(self, request: str, edit: PolicyEdit) -> None:
        """Save that change, and let through what waits."""

    async def deny(self, request: str, reason: str) -> None: ...

    async def lockdown(self, on: bool, message: str) -> None: ...

    async def save_policy(self, plugin: str, text: str, base: str) -> str:
        """Save over the file with hash `base`; returns the new hash.

        Raises `PolicyConflict` when the file is another one by now, `PolicyError` when the text is wrong.
        """

    def policy_names(self) -> Sequence[str]: ...

    def read_policy(self, plugin: str) -> PolicyText: ...

    def enforced_policy(self, plugin: str) -> str:
        """The last good policy's text; empty when there has never been one."""

    def check_policy(self, plugin: str, text: str) -> tuple[Diagnostic, ...]: ...

    def what_would_change(self, plugin: str, text: str) -> tuple[int, Sequence[Difference]]:
        """How many of the latest commands were looked at, and which of them `text` decides differently.

        Raises `PolicyError` for a text with problems.
        """

    def policy_versions(self, plugin: str) -> Sequence[Version]: ...

    def policy_version(self, plugin: str, hash_: str) -> str: ...

    def matches(self, wanted: AuditFilter) -> Matches: ...

    def latest(self, wanted: AuditFilter, limit: int) -> Sequence[AuditRow]:
        """The newest matching rows, newest first."""

    def export(self, wanted: AuditFilter, target: Path) -> int:
        """Write the matching rows as JSON lines, or CSV for a target named so; returns how many."""

    def log_files(self) -> Sequence[Path]: ...
