"""Checks of what a push changes at the remote: branches, tags, history. Pure.

Before git runs, the command line says what is asked for; in the pre-push hook the ref updates say
what git made of it, and the command line's flags still count.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugins.base.model import Reason
from plugins.base.text import printable
from plugins.git import patterns

if TYPE_CHECKING:
    from plugins.base.policy import Policy
    from plugins.git.operation import GitOperation
    from plugins.git.rules import GitRules

_HEADS, _TAGS = "refs/heads/", "refs/tags/"


@dataclass(frozen=True, slots=True)
class _Change:
    """One ref that would change: from the command line or, better, from git itself."""

    ref: str
    deletes: bool = False
    rewrites: bool = False
    certain: bool = True  # for a rewrite: whether it is known that commits would be lost

    @property
    def name(self) -> str:
        return printable(self.ref.removeprefix(_HEADS).removeprefix(_TAGS))


def _changes(operation: GitOperation) -> list[_Change]:
    if operation.updates:
        return [
            _Change(each.ref, each.deletes, each.rewrites, each.fast_forward is not None)
            for each in operation.updates
        ]
    if operation.hook:
        return []
    return [
        _Change(target.ref, target.delete)
        for push in operation.pushes
        for target in push.targets
        if target.exact
    ]


def _asked(operation: GitOperation) -> bool:
    """Whether flags alone count: always before git runs; in the hook only when there is something to push."""
    return not operation.hook or bool(operation.updates)


def mirror(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    # Also with nothing else to push: git does not tell the hook what a mirror push deletes.
    if not any(push.mirror for push in operation.pushes):
        return
    message = "A mirror push overwrites and deletes whatever the remote has more than you."
    hint = "Push one branch: " + example(rules, "mirror")
    if not rules.allow_force_push:
        yield policy.reason("allow_force_push", message, hint)
    if not rules.allow_delete_remote:
        yield policy.reason("allow_delete_remote", message, hint)


def force(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    if rules.allow_force_push:
        return
    rewritten = [change for change in _changes(operation) if change.rewrites]
    for change in rewritten:
        yield policy.reason(
            "allow_force_push",
            f"{change.name} would lose commits that the remote has."
            if change.certain
            else f"{change.name} might lose commits: it is not known here what the remote has.",
            f"Push it as a new branch: {example(rules, f'{change.name}-2')}",
            ref=change.ref,
        )
    asked = [push for push in operation.pushes if push.force and _asked(operation)]
    if asked and not rewritten:
        name = next(iter(asked[0].branches), "work")
        yield policy.reason(
            "allow_force_push",
            "Pushing by force is not allowed.",
            f"Push without it, or as a new branch: {example(rules, f'{printable(name)}-2')}",
        )


def deletes(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    if rules.allow_delete_remote:
        return
    deleted = [change for change in _changes(operation) if change.deletes]
    for change in deleted:
        what = "tag -d" if change.ref.startswith(_TAGS) else "branch -D"
        yield policy.reason(
            "allow_delete_remote",
            f"{change.name} would be deleted at the remote.",
            f"Delete it in your own repository alone: git {what} {change.name}",
            ref=change.ref,
        )
    if not deleted and not operation.hook and any(push.delete for push in operation.pushes):
        yield policy.reason(
            "allow_delete_remote",
            "This push would delete branches at the remote.",
            f"Push one branch: {example(rules, 'work')}",
        )


def refs(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    """Each changed ref must be a branch that is allowed and not blocked, or a tag if tags are allowed."""
    changes = _changes(operation)
    for change in changes:
        reason = _ref(policy, rules, change)
        if reason is not None:
            yield reason
    if not (changes or operation.hook or rules.allow_tags) and any(push.tags for push in operation.pushes):
        yield _tag(policy, "Tags", "")


def _ref(policy: Policy, rules: GitRules, change: _Change) -> Reason | None:
    if change.ref.startswith(_TAGS):
        return None if rules.allow_tags else _tag(policy, f"The tag {change.name}", change.ref)
    branch = change.ref.removeprefix(_HEADS)
    if branch == change.ref or branch.startswith("refs/") or branch == "HEAD":
        return policy.reason(
            "allowed_branch_patterns",
            f"{printable(change.ref)} is not the name of a branch or a tag.",
            f"Push a branch: {example(rules, 'work')}",
            ref=change.ref,
        )
    blocked = _blocked(rules, branch)
    if blocked is not None:
        return policy.reason(
            "blocked_branches",
            f"{change.name} is a protected branch" + ("." if blocked == branch else f" ({blocked})."),
            f"Push to a branch of your own: {example(rules, change.name)}",
            ref=change.ref,
        )
    if rules.allowed_branch_patterns and patterns.first_match(rules.allowed_branch_patterns, branch) is None:
        return policy.reason(
            "allowed_branch_patterns",
            f"{change.name} is none of the branches that may be pushed to: "
            f"{', '.join(rules.allowed_branch_patterns)}.",
            f"Use such a name: {example(rules, change.name)}",
            ref=change.ref,
        )
    return None


def _blocked(rules: GitRules, branch: str) -> str | None:
    """The pattern that protects a branch; in whatever case: some remotes' file systems know no difference."""
    return next(
        (
            pattern
            for pattern in rules.blocked_branches
            if patterns.matches(pattern, branch) or patterns.matches(_folded(pattern), _folded(branch))
        ),
        None,
    )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _tag(policy: Policy, what: str, ref: str) -> Reason:
    verb = "may not be pushed."
    return policy.reason(
        "allow_tags",
        f"{what} {verb}",
        "Push the branch alone: git push --no-follow-tags origin HEAD",
        ref=ref,
    )


def example(rules: GitRules, name: str) -> str:
    """A push that these rules allow, for what is checked out."""
    last = name.rpartition("/")[2].replace("*", "") or "work"
    for pattern in (*rules.allowed_branch_patterns, "claude/*", "work/*"):
        branch = pattern.replace("*", last)
        blocked = patterns.first_match(rules.blocked_branches, branch)
        if blocked is None and (
            not rules.allowed_branch_patterns
            or patterns.first_match(rules.allowed_branch_patterns, branch) is not None
        ):
            return f"git push origin HEAD:refs/heads/{branch}"
    return "git push origin HEAD:refs/heads/NAME"
