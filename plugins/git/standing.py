"""How each of git's rules is changed when the operator says "always". Pure."""

from __future__ import annotations

from plugins.base.model import Operation, Reason
from plugins.base.policy import Policy
from plugins.base.policy.edit import add_item, remove_item, set_scalar
from plugins.base.policy.standing import no_edit, relax_subcommands
from plugins.git import patterns
from plugins.git.checks import commands as check_commands
from plugins.git.operation import from_argv
from plugins.git.rules import GitRules

_HEADS = "refs/heads/"
_SWITCHES = ("allow_force_push", "allow_delete_remote", "allow_tags")


def relaxed(policy: Policy, operation: Operation, reason: Reason) -> str:
    """The policy's text without what this reason rests on. Raises `EditError` where there is no such edit."""
    rules = policy.rules
    if reason.rule in _SWITCHES:
        return set_scalar(policy.text, f"rules.{reason.rule}", True)
    if not isinstance(rules, GitRules):
        raise no_edit(reason)
    if reason.rule == "blocked_subcommands":
        return _unblock(policy, rules, operation, reason)
    branch = reason.ref.removeprefix(_HEADS)
    if reason.rule == "blocked_branches":
        pattern = patterns.first_match(rules.blocked_branches, branch)
        return _without_branch(policy, pattern or "")
    if reason.rule == "allowed_branch_patterns" and branch and branch != reason.ref and "*" not in branch:
        return add_item(policy.text, "rules.allowed_branch_patterns", branch)
    return relax_subcommands(policy, operation, reason)


def _without_branch(policy: Policy, pattern: str) -> str:
    """Take out the pattern, however the file spells it."""
    spelled = f"{_HEADS}{pattern}" if f"{_HEADS}{pattern}" in policy.text else pattern
    return remove_item(policy.text, "rules.blocked_branches", spelled)


def _unblock(policy: Policy, rules: GitRules, operation: Operation, reason: Reason) -> str:
    for pattern in rules.blocked_subcommands:
        if any(check_commands.names(pattern, command) for command in from_argv(operation).commands):
            return remove_item(policy.text, "rules.blocked_subcommands", pattern)
    raise no_edit(reason)
