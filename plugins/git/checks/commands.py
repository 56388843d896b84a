"""Checks of what a command is: whether it can be read, may run at all, and what it writes. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from plugins.base.model import Reason
from plugins.base.rules import matches as words_match
from plugins.base.text import printable
from plugins.git.commandline import GitCommand, Given, canonical_name, parse
from plugins.git.commandline.options import SYNTAX
from plugins.git.commandline.subcommands import PAST_THE_RULES

if TYPE_CHECKING:
    from plugins.base.policy import Policy
    from plugins.git.operation import GitOperation
    from plugins.git.rules import GitRules

_SET_URL = ("remote", "set-url")
_URL_KEY = re.compile(
    r"remote\..*\.(url|pushurl)|url\..*\.(insteadof|pushinsteadof)", re.IGNORECASE | re.DOTALL
)
_URL_SECTION = re.compile(r"(remote|url)\..*", re.IGNORECASE | re.DOTALL)
# Options that name a program for the other side of a connection to run.
_REMOTE_PROGRAMS = {
    "push": ("receive-pack", "exec"),
    "fetch": ("upload-pack",),
    "pull": ("upload-pack",),
    "clone": ("upload-pack",),
    "ls-remote": ("upload-pack", "exec"),
    "archive": ("exec",),
}
_READS = (
    "get",
    "get-all",
    "get-regexp",
    "get-urlmatch",
    "list",
    "edit",
    "get-color",
    "get-colorbool",
)
_WRITES = ("add", "replace-all", "unset", "unset-all")
_SECTIONS = ("rename-section", "remove-section")
LARGE_FILES = "lfs"  # the one program of another's making that is known: see git-lfs(1)
_LFS_LOCAL = frozenset({
    "--version", "checkout", "clean", "env", "filter-process", "fsck", "ls-files", "merge-driver",
    "pointer", "post-checkout", "post-commit", "post-merge", "pre-push", "smudge", "status", "track",
    "untrack", "version",
})  # fmt: skip
# Talk to the server of large files.
_LFS_REMOTE = frozenset({"clone", "fetch", "lock", "locks", "pull", "push", "unlock"})


def readable(policy: Policy, _rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    """What cannot be read for certain does not run."""
    problems = [operation.problem, *(command.problem for command in operation.commands)]
    for problem in filter(None, problems):
        yield policy.reason(
            "internal",
            f"This command cannot be judged: {problem}.",
            "Write it in full, without abbreviations; `git help -a` lists what git can do.",
        )


def place(policy: Policy, _rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    """git works on repositories of the workspace; others are reached as remotes, by the rules for those."""
    if operation.outside:
        yield policy.reason(
            "internal",
            f"{printable(operation.outside)} is not in the workspace.",
            "Work in the workspace: leave out what leads elsewhere (-C, --git-dir, GIT_DIR).",
        )


def blocked_subcommands(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    for pattern in rules.blocked_subcommands:
        for command in operation.commands:
            if names(pattern, command):
                yield policy.reason(
                    "blocked_subcommands", f"`git {pattern}` is blocked.", _instead(pattern, command)
                )


def allowed_subcommands(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    allowed = rules.allowed_subcommands
    if allowed is None:
        return
    for command in operation.commands:
        if command.name and not any(names(pattern, command) for pattern in allowed):
            yield policy.reason(
                "allowed_subcommands",
                f"`git {command.name}` is not one of those that may run: {', '.join(allowed) or 'none'}.",
            )


def past_the_rules(policy: Policy, _rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    """Plumbing that reaches remotes where no hook sees it, and programs in place of git's own."""
    for command in operation.commands:
        if command.name in PAST_THE_RULES:
            yield policy.reason(
                "internal",
                f"`git {command.name}` works below the rules, so it does not run.",
                "Use `git push`, `git fetch` or `git clone`.",
            )
        if command.globals.exec_path is not None:
            yield policy.reason(
                "internal", "`git --exec-path=` would put other programs in git's place.", "Leave it out."
            )


def large_files(policy: Policy, _rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    """Git LFS has a server of its own: it would fail there, after a while and in words of its own."""
    for command in operation.commands:
        if command.name != LARGE_FILES or not command.arguments or command.arguments[0] in _LFS_LOCAL:
            continue
        name = printable(command.arguments[0])
        if name not in _LFS_REMOTE:
            yield policy.reason("internal", f"`git lfs {name}` is none of those that are known to work here.")
        else:
            yield policy.reason(
                "internal",
                f"`git lfs {name}` talks to a server that is not reached from here.",
                "Pointers are checked out as they are; let somebody fetch or push the files from outside.",
            )


def programs_at_the_remote(policy: Policy, _rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    for command in operation.commands:
        for option in _REMOTE_PROGRAMS.get(canonical_name(command.name), ()):
            if command.given(option) is not None:
                yield policy.reason(
                    "internal",
                    f"`git {command.name} --{option}` would run a program of your choice at the remote.",
                    f"Leave out --{option}.",
                )


def remote_urls(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    """With `remote set-url` blocked, its equivalents in `git config` are blocked too."""
    pattern = next((each for each in rules.blocked_subcommands if _target(each) == _SET_URL), None)
    if pattern is None:
        return
    for command in operation.commands:
        if command.name == "config" and (key := _written_url(command)):
            yield policy.reason(
                "blocked_subcommands",
                f"Writing {key} does what `git {pattern}` does, which is blocked.",
                "Add a remote of another name: git remote add NAME URL",
            )


def names(pattern: str, command: GitCommand) -> bool:
    """Whether a pattern of the policy (`config --global`, `remote set-url`) is for this command."""
    wanted = _parsed(pattern)
    name = canonical_name(command.name)
    if wanted.problem or (name not in SYNTAX and name != "remote"):
        return words_match(pattern, (command.name, *command.arguments))
    if canonical_name(wanted.name) != name:
        return False
    return (
        (not wanted.action or wanted.action == command.action)
        and command.words[: len(wanted.words)] == wanted.words
        and all(_has(command, option) for option in wanted.options)
    )


def _has(command: GitCommand, wanted: Given) -> bool:
    option = command.given(wanted.name)
    return option is not None and option.negated == wanted.negated and wanted.value in (None, option.value)


@lru_cache(maxsize=256)
def _parsed(pattern: str) -> GitCommand:
    return parse(tuple(pattern.split()))


def _target(pattern: str) -> tuple[str, str]:
    command = _parsed(pattern)
    return command.name, command.action


def _written_url(command: GitCommand) -> str:
    """The key (or section) that a `git config` would write, if remote URLs depend on it."""
    mode, words = command.words[:1], command.words
    if mode in (("set",), ("unset",)):
        keys: tuple[str, ...] = words[1:2]
    elif any(command.on(option) for option in _SECTIONS) or mode in (
        ("rename-section",),
        ("remove-section",),
    ):
        return next((word for word in words if _URL_SECTION.fullmatch(word)), "")
    elif any(command.on(option) for option in _WRITES):
        keys = words[:1]
    else:
        reads = any(command.on(option) for option in _READS)
        keys = () if reads or len(words) < 2 else words[:1]
    return next((key for key in keys if _URL_KEY.fullmatch(key)), "")


def _instead(pattern: str, command: GitCommand) -> str:
    """A way forward for what is blocked by default; else a plain one."""
    if command.name == "config" and command.on("global"):
        return f"Set it for this repository alone: git {shlex.join(('config', *command.without('global')))}"
    if command.name == "remote" and command.action == "set-url":
        return "Add a remote of another name: git remote add NAME URL"
    if command.name == "remote":
        return "Leave the remotes as they are; `git remote -v` shows them."
    return f"Do without `git {pattern}`, or ask the operator to run it."
