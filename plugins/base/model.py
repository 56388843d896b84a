"""The vocabulary of judging: operations, reasons, decisions. Pure data, no I/O.

An `Operation` is what somebody wants to do, as typed facts. `evaluate` (in `plugins.base.plugin`)
turns a policy and an operation into a `Decision`. Text in these objects is always valid Unicode:
bytes that are not UTF-8 were escaped as `\\xNN` by `plugins.base.text.printable` on the way in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final


class Layer(StrEnum):
    """Where a decision was taken."""

    ARGV = "argv"  # the command line, before anything runs
    HOOK = "hook"  # a git hook: what git itself resolved
    WIRE = "wire"  # the gateway: what is about to reach the remote


class Verdict(StrEnum):
    """The outcome of one decision, as it is recorded."""

    ALLOWED = "allowed"
    BLOCKED = "blocked"  # refused by a rule
    HELD = "held"  # blocked, and waiting for the operator
    APPROVED = "approved"  # blocked by a rule, let through by an approval
    DENIED = "denied"  # the operator said no
    EXPIRED = "expired"  # nobody answered in time
    ERROR = "error"  # could not be judged, or could not run: refused

    @property
    def refuses(self) -> bool:
        """Whether that was a no. What is held is neither yet."""
        return self in (Verdict.BLOCKED, Verdict.DENIED, Verdict.EXPIRED, Verdict.ERROR)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one rule refuses: the rule's key in the policy file, its line there, and the way forward."""

    rule: str  # "blocked_branches", "remotes.push", ...; "internal" when no rule of the file applies
    message: str  # one sentence
    hint: str = ""  # a command that would work, or what to do
    line: int | None = None  # 1-based line of the rule in the policy file
    approvable: bool = True  # False: no one can approve past it
    ref: str = ""  # the full ref this reason is about, if any


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One ref that a push would change. `old` and `new` are object ids; all zeros: absent."""

    ref: str
    old: str
    new: str
    fast_forward: bool | None = None  # None: not known (counts as not fast-forward)

    @property
    def creates(self) -> bool:
        return not self.old.strip("0")

    @property
    def deletes(self) -> bool:
        return not self.new.strip("0")

    @property
    def rewrites(self) -> bool:
        """Whether commits that the remote has would be lost."""
        return not (self.creates or self.deletes or self.fast_forward is True)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is about to happen. Plugins with rules of their own subclass it with more facts.

    A subclass may set `REPEATS` when all its facts are hashable and compared: then what is decided of one
    is remembered for its equals.
    """

    REPEATS: ClassVar[bool] = False

    plugin: str
    layer: Layer
    argv: tuple[str, ...]  # what the caller typed, without the tool's own name
    cwd: str
    remote: str = ""  # resolved URL, credentials removed; "" when no remote is involved
    updates: tuple[RefUpdate, ...] = ()

    @property
    def summary(self) -> str:
        """One line for lists: the command as typed."""
        return " ".join((self.plugin, *self.argv))


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict of `evaluate`: allowed when no rule gave a reason against it."""

    reasons: tuple[Reason, ...] = field(default=())

    @property
    def allowed(self) -> bool:
        return not self.reasons

    @property
    def approvable(self) -> bool:
        """Whether an operator may let it through: every reason against it must be approvable."""
        return bool(self.reasons) and all(reason.approvable for reason in self.reasons)


ALLOW = Decision()

LOCKDOWN: Final = "lockdown"  # what stands in the place of a rule while everything is refused


def refuse_all(rule: str, message: str) -> Decision:
    """A refusal that nobody can approve past, whatever the operation."""
    return Decision((Reason(rule, message, approvable=False),))
