"""The supervisor's state as the front ends see it: what the API answers with, and sends when it changes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from plugins.base.control import Isolation, Update
from plugins.base.doors import tool_of

PluginState = Literal["stopped", "starting", "running", "unhealthy", "backoff", "crash-loop", "stopping"]
PolicyState = Literal["enforced", "stale", "invalid", "missing"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class PolicyStatus(_Frozen):
    """How the file on disk and what the plugin enforces relate.

    `enforced`: the file is in force. `stale`: sent, not yet acknowledged, or the plugin is away.
    `invalid`: the file has problems, the last good policy stays. `missing`: never a good one, refuses all.
    """

    state: PolicyState
    file_hash: str = ""  # sha-256 of the file's text
    enforced_hash: str = ""  # of the policy that the plugin last acknowledged
    problems: tuple[str, ...] = ()  # "git.yaml:12:3: ..."


class PluginStatus(_Frozen):
    name: str  # of the tool, or of its gateway
    state: PluginState
    wanted: bool  # False: stopped by the operator
    reason: str = ""  # why it is not running, in one sentence
    pid: int | None = None
    started: float | None = None  # seconds since the epoch
    restarts: int = 0
    retry_at: float | None = None  # when a plugin in backoff is started again
    tool: str = ""
    policy: PolicyStatus
    isolation: Isolation = Isolation()
    commands: int = 0
    blocked: int = 0
    running: int = 0
    waiting: int = 0
    rate: float = 0.0  # commands per second over the latest 10 s
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    spooled: int = 0
    cpu_percent: float | None = None
    memory_bytes: int | None = None

    @property
    def tool_name(self) -> str:
        """The tool whose policy it goes by."""
        return tool_of(self.name)


class Status(_Frozen):
    pid: int
    version: str
    home: str
    workspace: str
    origin: str = ""
    runtime: Literal["process", "docker"] = "process"
    runtime_reason: str = ""  # why this one
    started: float
    operators: int = 0  # attached desks; when 0, nothing is held
    lockdown: str | None = None  # the message, when locked down
    plugins: tuple[PluginStatus, ...] = ()
    requests_open: int = 0
    warnings: tuple[str, ...] = ()  # e.g. "The disk is full: ..."


class Request(_Frozen):
    """An approval request. State `open` waits for an answer; `granted` is a yes not yet used up."""

    id: str  # 8 characters, easy to type
    state: Literal["open", "granted", "used", "denied", "expired"]
    plugin: str
    layer: str
    args: tuple[str, ...]
    cwd: str
    caller: str = ""
    reasons: tuple[tuple[str, int | None, str], ...] = ()
    remote: str = ""
    updates: tuple[Update, ...] = ()
    details: str = ""
    fingerprint: str
    count: int = 1  # how often the same operation was tried
    first: float  # seconds since the epoch
    last: float
    waiting: int = 0  # commands that wait for the answer right now
    deadline: float | None = None  # when the wait ends
    mode: Literal["", "once", "time", "always"] = ""
    grant_until: float | None = None
    answer_reason: str = ""
    answered: float | None = None
