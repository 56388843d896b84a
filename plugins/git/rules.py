"""git's rules: the fields of the policy file, and the chain of checks that judges an operation. Pure.

Every check looks at the whole operation and returns each reason that it finds against it; the chain
reports them all, in order. A check never allows anything: only the absence of reasons does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints

from plugins.base.model import Decision, Operation, Reason
from plugins.base.policy import Policy
from plugins.base.rules import ToolRules
from plugins.git.checks import commands as check_commands
from plugins.git.checks import content as check_content
from plugins.git.checks import refs as check_refs
from plugins.git.checks import remotes as check_remotes
from plugins.git.operation import GitOperation, from_argv


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


def _branch(value: str) -> str:
    return value.removeprefix("refs/heads/")


Pattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=250)]
BranchPattern = Annotated[Pattern, AfterValidator(_branch)]


class GitRules(ToolRules):
    """The `rules:` of git.yaml. In patterns `*` stands for any text."""

    own_gateway: ClassVar[bool] = True

    blocked_branches: tuple[BranchPattern, ...] = ("main", "master", "release/*", "production")
    allowed_branch_patterns: tuple[BranchPattern, ...] = ()  # none: all that are not blocked
    allow_force_push: bool = False
    allow_delete_remote: bool = False
    allow_tags: bool = False
    allowed_push_options: tuple[Pattern, ...] = ()  # some servers merge or run pipelines on one
    max_file_bytes: int | None = Field(default=None, ge=1)
    forbidden_paths: tuple[Pattern, ...] = ()
    # Python's syntax, searched for in the first line of the message.
    commit_message_pattern: Annotated[str, Field(max_length=500), AfterValidator(_expression)] | None = None


Check = Callable[[Policy, GitRules, GitOperation], Iterator[Reason]]

CHAIN: tuple[Check, ...] = (
    check_commands.readable,
    check_commands.place,
    check_commands.blocked_subcommands,
    check_commands.allowed_subcommands,
    check_commands.past_the_rules,
    check_commands.large_files,
    check_commands.programs_at_the_remote,
    check_commands.remote_urls,
    check_remotes.remotes,
    check_refs.mirror,
    check_refs.force,
    check_refs.deletes,
    check_refs.refs,
    check_content.file_sizes,
    check_content.paths,
    check_content.message,
)


def evaluate(policy: Policy, operation: Operation) -> Decision:
    """Judge a git operation: every reason of every check, each once."""
    git = from_argv(operation)
    rules = policy.rules if isinstance(policy.rules, GitRules) else GitRules()
    reasons = [reason for check in CHAIN for reason in check(policy, rules, git)]
    return Decision(tuple(dict.fromkeys(reasons)))
