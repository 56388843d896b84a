"""An "always" changes the rules that object, allows the operation, and leaves every other byte as it was."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from plugins.base.model import Layer, Operation, RefUpdate
from plugins.base.plugin import Plugin
from plugins.base.policy import parse_policy
from plugins.base.policy.edit import EditError
from plugins.base.policy.standing import standing_policy
from plugins.git.plugin import GitPlugin
from plugins.git.rules import GitRules

DEFAULT = (Path(__file__).parents[3] / "config" / "git.yaml").read_text(encoding="utf-8")
OLD, NEW, NONE = "1" * 40, "2" * 40, "0" * 40


def push(*updates: RefUpdate) -> Operation:
    argv = ("push", "origin", *(update.ref for update in updates))
    return Operation("git", Layer.WIRE, argv, "", "/up.git", updates)


def update(ref: str, old: str = OLD, new: str = NEW, *, fast_forward: bool = True) -> RefUpdate:
    return RefUpdate(f"refs/{ref}", old, new, fast_forward)


def changed(operation: Operation, text: str = DEFAULT) -> list[str]:
    """The lines that come and go."""
    policy = parse_policy(text, rules_model=GitRules, plugin="git")
    new = standing_policy(GitPlugin, policy, operation)
    after = parse_policy(new, rules_model=GitRules, plugin="git")
    assert GitPlugin.evaluate(after, operation).allowed
    lines = difflib.unified_diff(text.splitlines(), new.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


@pytest.mark.parametrize(
    ("operation", "lines"),
    [
        (
            push(update("heads/main")),
            ["-  blocked_branches: [main, master, release/*, production]",
             "+  blocked_branches: [master, release/*, production]",
             "-  allowed_branch_patterns: [claude/*, feature/*, fix/*, bugfix/*, hotfix/*]",
             "+  allowed_branch_patterns: [claude/*, feature/*, fix/*, bugfix/*, hotfix/*, main]"],
        ),
        (
            push(update("heads/release/2.1", NONE)),
            ["-  blocked_branches: [main, master, release/*, production]",
             "+  blocked_branches: [main, master, production]",
             "-  allowed_branch_patterns: [claude/*, feature/*, fix/*, bugfix/*, hotfix/*]",
             "+  allowed_branch_patterns: [claude/*, feature/*, fix/*, bugfix/*, hotfix/*, release/2.1]"],
        ),
        (
            push(update("heads/claude/x", fast_forward=False)),
            ["-  allow_force_push: false", "+  allow_force_push: true"],
        ),
        (
            push(update("heads/claude/x", new=NONE)),
            ["-  allow_delete_remote: false", "+  allow_delete_remote: true"],
        ),
        (push(update("tags/v1", NONE)), ["-  allow_tags: false", "+  allow_tags: true"]),
        (
            push(update("heads/topic", NONE)),
            ["-  allowed_branch_patterns: [claude/*, feature/*, fix/*, bugfix/*, hotfix/*]",
             "+  allowed_branch_patterns: [claude/*, feature/*, fix/*, bugfix/*, hotfix/*, topic]"],
        ),
        (
            Operation("git", Layer.ARGV, ("remote", "set-url", "origin", "x"), "/w"),
            ["-  blocked_subcommands: [config --global, remote set-url, remote remove, remote rename]",
             "+  blocked_subcommands: [config --global, remote remove, remote rename]"],
        ),
    ],
)  # fmt: skip
def test_changes_just_what_objects(operation: Operation, lines: list[str]) -> None:
    assert changed(operation) == lines


@pytest.mark.parametrize(
    "operation",
    [
        push(update("notes/commits", NONE)),  # no branch pattern names it
        Operation("git", Layer.ARGV, ("send-pack", "/up.git"), "/w"),  # no rule of the file
        push(update("heads/claude/x")),  # nothing objects
    ],
)
def test_where_no_rule_says_just_that_there_is_no_always(operation: Operation) -> None:
    with pytest.raises(EditError):
        changed(operation)


@pytest.mark.parametrize(
    ("rules", "command", "expected"),
    [
        ("blocked_subcommands: [publish, unpublish]", "publish --tag x", "blocked_subcommands: [unpublish]"),
        ("allowed_subcommands: [install]", "run test", "allowed_subcommands: [install, run]"),
    ],
)
def test_any_tool_has_it(rules: str, command: str, expected: str) -> None:
    policy = parse_policy(f"plugin: npm\nversion: 1\nrules:\n  {rules}\n", file="npm.yaml", plugin="npm")
    operation = Operation("npm", Layer.ARGV, tuple(command.split()), "/w")
    assert expected in standing_policy(Plugin, policy, operation)
