"""The messages between a plugin and the supervisor, over the control socket.

Frames are those of `plugins.base.serving.protocol` (4-byte big-endian length, UTF-8 JSON), without
descriptors. The plugin dials, sends `Hello` with its one-start token, and waits for `Welcome`; then
both sides send at any time. All text is valid Unicode (see `plugins.base.text.printable`).

The plugin goes on working when the link is down: last good policy, events kept in its spool.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from plugins.base.model import Layer, Verdict

LONGEST_TELL: Final = 16 * 1024  # characters


class Message(BaseModel):
    """A frozen message; unknown keys are ignored, so that versions can differ by one."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, defer_build=True)


# ---------------------------------------------------------------- audit events


class Effect(StrEnum):
    """What a push does to a ref, in words."""

    NEW = "new ref"
    DELETES = "deletes the ref"
    FAST_FORWARD = "fast-forward"
    REWRITES = "not a fast-forward: commits would be lost"
    UNKNOWN = "not known to be a fast-forward: commits may be lost"


class Update(Message):
    """A ref update as recorded: full ref name, object ids, and whether it is a fast-forward."""

    ref: str
    old: str
    new: str
    fast_forward: bool | None = None

    @property
    def effect(self) -> Effect:
        if not self.old.strip("0"):
            return Effect.NEW
        if not self.new.strip("0"):
            return Effect.DELETES
        if self.fast_forward is None:
            return Effect.UNKNOWN
        return Effect.FAST_FORWARD if self.fast_forward else Effect.REWRITES


class AuditEvent(Message):
    """One decision. Written to the spool before the command runs; secrets are redacted already."""

    id: str  # 32 hex digits, chosen by the plugin: sending it again changes nothing
    time: float  # seconds since the epoch
    plugin: str
    layer: Layer | Literal["worker", "policy", "approval", "supervisor"]
    command: str = ""  # id of the command this belongs to: all layers of one command share it
    args: tuple[str, ...] = ()
    cwd: str = ""
    verdict: Verdict | Literal["info"] = "info"  # "info": a start, a stop, a crash, a policy change
    rule: str = ""
    rule_line: int | None = None
    reason: str = ""
    remote: str = ""
    updates: tuple[Update, ...] = ()
    request: str = ""  # id of the approval request, when there is one
    policy: str = ""  # hash of the policy that decided
    caller: str = ""  # "uid=1000 pid=4242"

    @property
    def sentence(self) -> str:
        """What happened to whom, for a row that is about no command."""
        return ": ".join(filter(None, (self.plugin, self.reason)))


class Outcome(Message):
    """How a command that ran came to its end; follows the `AuditEvent` with the same `command`."""

    id: str
    command: str
    exit_code: int
    duration_ms: float


# ---------------------------------------------------------------- plugin -> supervisor


class Isolation(Message):
    """What holds the worker. `missing` names, in words for the operator, what does not."""

    landlock_abi: int = 0  # 0: none
    seccomp: bool = False
    missing: tuple[str, ...] = ()


class Hello(Message):
    type: Literal["hello"] = "hello"
    plugin: str
    token: str
    pid: int
    version: str
    started: float  # seconds since the epoch
    policy: str = ""  # hash of the policy it enforces; "": none yet, it refuses everything


class Ready(Message):
    """The worker stands and the tool was found (again after each worker start)."""

    type: Literal["ready"] = "ready"
    isolation: Isolation
    tool: str = ""  # e.g. "git version 2.39.5"; "": not found
    problem: str = ""  # why commands cannot run, for the operator


class Record(Message):
    """Events and outcomes from the spool, oldest first; the supervisor answers with `Stored`."""

    type: Literal["record"] = "record"
    batch: int
    events: tuple[AuditEvent, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


class Applied(Message):
    """The plugin enforces the policy with this hash now, or (with problems) refuses to take it over."""

    type: Literal["applied"] = "applied"
    policy: str
    problems: tuple[str, ...] = ()


class Stats(Message):
    """Counters since the plugin started, and latencies of the latest 512 commands (overhead excluded)."""

    type: Literal["stats"] = "stats"
    commands: int = 0
    blocked: int = 0
    running: int = 0
    waiting: int = 0  # commands held for an answer
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    spooled: int = 0  # events the supervisor has not stored yet


class Ask(Message):
    """A blocked operation that an operator may approve. Answered by one or more `Answer`s."""

    type: Literal["ask"] = "ask"
    ask: int  # number of this question on this link
    fingerprint: str  # equal for exactly the same operation: repeats fold, grants match
    plugin: str
    command: str
    layer: Layer
    args: tuple[str, ...]
    cwd: str
    caller: str = ""
    reasons: tuple[tuple[str, int | None, str], ...] = ()  # (rule, line, message)
    remote: str = ""
    updates: tuple[Update, ...] = ()
    details: str = ""  # plain text: commits that would arrive or be lost, diffstat, diff
    hold_seconds: float = 0.0  # how long the command can wait; 0: it cannot
    grant_minutes: float = 0.0  # how long a yes that comes later stays good


Settled = Literal["", "allowed", "refused"]


class Forget(Message):
    """No answer is wanted any more: the command is gone (its caller hung up), and the request itself stays.

    Or a changed policy has `settled` it: it allows the command now, or refuses it for good.
    """

    type: Literal["forget"] = "forget"
    ask: int
    settled: Settled = ""


class Undone(Message):
    """What became of an `Undo`: the refs that are back, or why not."""

    type: Literal["undone"] = "undone"
    request: str
    refs: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""


# ---------------------------------------------------------------- gateway -> supervisor -> plugin, and back


class Tell(Message):
    """What a gateway has to say on the stderr of whoever called the command. Answered by `Told`."""

    type: Literal["tell"] = "tell"
    tell: int  # number among the gateway's
    command: str
    text: str = Field(max_length=LONGEST_TELL)


class Told(Message):
    """It was said, or nobody is there to hear it."""

    type: Literal["told"] = "told"
    tell: int


# ---------------------------------------------------------------- supervisor -> plugin


class Welcome(Message):
    type: Literal["welcome"] = "welcome"


class SetPolicy(Message):
    """The text of the policy file; the plugin parses it itself and answers with `Applied`."""

    type: Literal["policy"] = "policy"
    policy: str  # sha-256 of the text, hex
    text: str


class Stored(Message):
    type: Literal["stored"] = "stored"
    batch: int


class Answer(Message):
    """What became of a question.

    `waiting`: held, the request id is told, another Answer follows. `approved`: run it now.
    `denied`: the operator said no, `reason` is for the agent. `expired`: held in vain.
    `later`: no operator is attached; refuse now, the request stays open for a later yes.
    """

    type: Literal["answer"] = "answer"
    ask: int
    outcome: Literal["waiting", "approved", "denied", "expired", "later"]
    request: str = ""
    reason: str = ""


class Lockdown(Message):
    """Refuse everything while `on`, with this message."""

    type: Literal["lockdown"] = "lockdown"
    on: bool
    message: str = ""


class Credentials(Message):
    """New values for credentials, by environment variable. For a gateway alone; never logged."""

    type: Literal["credentials"] = "credentials"
    values: dict[str, str] = Field(repr=False)


class Undo(Message):
    """Put back what the approved request took away at a remote; answered with `Undone`."""

    type: Literal["undo"] = "undo"
    request: str


class Stop(Message):
    """End running commands, flush the spool, exit 0."""

    type: Literal["stop"] = "stop"


FromPlugin = Annotated[
    Hello | Ready | Record | Applied | Stats | Ask | Forget | Undone | Tell | Told,
    Field(discriminator="type"),
]
FromSupervisor = Annotated[
    Welcome | SetPolicy | Stored | Answer | Lockdown | Credentials | Undo | Stop | Tell | Told,
    Field(discriminator="type"),
]

# Here and above: built when it is used first, as no process uses them all and each is to start fast.
_LATE = ConfigDict(defer_build=True)
FROM_PLUGIN: TypeAdapter[FromPlugin] = TypeAdapter(FromPlugin, config=_LATE)
FROM_SUPERVISOR: TypeAdapter[FromSupervisor] = TypeAdapter(FromSupervisor, config=_LATE)


class StartConfig(BaseModel):
    """What a plugin process is started with: a JSON file (0600) named by its only argument."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    plugin: str
    socket: str  # path of the agent's socket to listen on
    control: str  # path of the supervisor's control socket
    token: str  # proves this start to the supervisor
    workspace: str  # absolute path, the same for agent and worker
    alias: str = ""  # another path of the same directory, for commands typed on the host; "": there is none
    state: str  # private directory of this plugin: spool, worker's home and tmp, worker's copy of the shim
    client: str  # path of the plugin-client binary (the worker's shim is a copy)
    path: str  # PATH for the real tool, without the wrappers' directory
    origin: str = ""  # URL that origin had when this workspace was first started (pinned)
    module: str = "plugins.base"  # the Python module that is run
    gateway: str = ""  # http://ADDRESS:PORT/CAPABILITY of this plugin's gateway; "": it has none
    stream: str = ""  # ADDRESS:PORT of the gateway's other door
    git_config: dict[str, str] = {}  # chosen keys of the operator's own git configuration (user.name, ...)

    @property
    def workspaces(self) -> tuple[str, ...]:
        """Every path that the workspace has here."""
        return (self.workspace, self.alias) if self.alias else (self.workspace,)
