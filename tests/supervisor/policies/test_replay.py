"""What another policy would have decided: only what differs, each command line once."""

from __future__ import annotations

from typing import Any

from plugins.base.control import AuditEvent, Update
from plugins.base.policy import Policy, parse_policy
from plugins.git.plugin import GitPlugin
from plugins.git.rules import GitRules
from supervisor.policies.replay import differences, replayed

POLICY = "plugin: git\nversion: 1\nrules:\n  blocked_branches: [{}]\n  allowed_branch_patterns: []\n"
OLD, NEW = "1" * 40, "2" * 40


def policy(blocked: str) -> Policy:
    return parse_policy(POLICY.format(blocked), rules_model=GitRules, plugin="git")


def push(ref: str, command: str, **changes: Any) -> AuditEvent:
    event = AuditEvent(
        id=command * 32, time=1.0, plugin="git", layer="wire", command=command, args=("push", "origin", ref),
        cwd="", verdict="blocked", remote="/up.git",
        updates=(Update(ref=f"refs/heads/{ref}", old=OLD, new=NEW, fast_forward=True),),
    )  # fmt: skip
    return event.model_copy(update=changes)


def test_tells_what_the_other_policy_decides_differently() -> None:
    events = [push("main", "a"), push("topic", "b"), push("main", "c"), push("other", "d")]
    found = differences(GitPlugin, policy("main"), policy("topic"), events)
    assert [(each.event.args[-1], each.allowed, each.times) for each in found] == [
        ("main", True, 2), ("topic", False, 1),
    ]  # fmt: skip


def test_judges_each_command_once_by_the_record_that_knows_most() -> None:
    events = [
        push("main", "a", layer="approval", id="9" * 32),
        push("main", "a", id="8" * 32),
        push("main", "a", layer="argv", updates=(), id="7" * 32),
        push("main", "b", plugin="npm"),
        push("main", "c", args=(), layer="supervisor"),
    ]
    assert [each.id for each in replayed(events, "git")] == ["8" * 32]
