"""What is judged: a git operation as typed facts. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from plugins.base.model import Operation
from plugins.git.commandline import GitCommand, parse
from plugins.git.commandline.push import Push, Repository, read_push


@dataclass(frozen=True, slots=True)
class Contact:
    """A remote that a command would talk to."""

    name: str  # as given: "origin", a URL, a path
    url: str  # as git resolves it, without credentials; "" when it could not be resolved
    path: str = ""  # the real path, when it is on this machine
    push: bool = False
    inside: bool = False  # the path lies in the workspace
    problem: str = ""  # why it cannot be used at all


@dataclass(frozen=True, slots=True)
class File:
    """A file that a commit would record."""

    path: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class GitOperation(Operation):
    """A git command with what was looked up for it; in a hook, with what git resolved."""

    REPEATS: ClassVar[bool] = True

    commands: tuple[GitCommand, ...] = ()  # all git commands it would run; aliases are resolved
    pushes: tuple[Push, ...] = ()
    contacts: tuple[Contact, ...] = ()
    runs: GitCommand | None = None  # what git is to be given; for a shell alias, the alias itself
    script: str | None = None  # the body of a shell alias: runs as it is, with `commands` found in it
    problem: str = ""  # why the command cannot be judged
    outside: str = ""  # a place outside the workspace that the command line takes for its repository
    pinned_url: str = ""  # origin, as it was when the workspace was first started
    pinned_path: str = ""  # the same as a real path, when it is on this machine
    gateway: bool = False  # remotes on the network can be reached, and pushes are judged on the wire
    hook: str = ""  # name of the hook that asks
    files: tuple[File, ...] = ()  # pre-commit: what the index would record anew
    message: str | None = None  # commit-msg: the message, comments removed

    @property
    def served(self) -> str:
        """An origin on this machine that the gateway reaches, whether or not it can be seen from here."""
        return self.pinned_path if self.gateway else ""

    @property
    def push_only(self) -> bool:
        """Whether it is one push and nothing else: then the pre-push hook sees all of it."""
        return self.script is None and [command.name for command in self.commands] == ["push"]


def from_argv(operation: Operation) -> GitOperation:
    """Read a plain operation without looking anything up (for explaining and replay)."""
    if isinstance(operation, GitOperation):
        return operation
    plain = {each.name: getattr(operation, each.name) for each in fields(Operation)}
    command = parse(operation.argv)
    pushes = (read_push(command, Repository()),) if command.name == "push" and not command.problem else ()
    return GitOperation(**plain, commands=(command,), pushes=pushes)
