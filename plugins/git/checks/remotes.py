"""Checks of where a command would connect to. Pure.

The policy's `remotes` name what is allowed: "origin" is the pinned URL, anything else a pattern.
Without a gateway only repositories on this machine can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from plugins.base.model import Reason
from plugins.base.text import printable
from plugins.git import patterns
from plugins.git.operation import Contact
from plugins.git.urls import covers, parse_url

if TYPE_CHECKING:
    from plugins.base.policy import Policy
    from plugins.git.operation import GitOperation
    from plugins.git.rules import GitRules


def remotes(policy: Policy, _rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    for contact in operation.contacts:
        reason = _contact(policy, operation, contact)
        if reason is not None:
            yield reason


def _contact(policy: Policy, operation: GitOperation, contact: Contact) -> Reason | None:
    rule = "remotes.push" if contact.push else "remotes.fetch"
    allowed = policy.remotes.push if contact.push else policy.remotes.fetch
    # No yes of the operator can help: the sandbox has no way to such a remote.
    if contact.problem:
        return policy.reason(rule, contact.problem, "Use origin, as it is set up.", approvable=False)
    if contact.inside and not contact.push:
        return None
    if not any(_names(pattern, contact, operation) for pattern in allowed):
        return policy.reason(rule, *_not_allowed(operation, contact), approvable=False)
    if not contact.path and not operation.gateway:
        return policy.reason(
            rule,
            f"{printable(contact.url)} is reached over the network, which needs the gateway, and none runs; "
            "without it only repositories on this machine can be reached.",
            "Work on, and ask the operator to push or fetch.",
            approvable=False,
        )
    return None


def _names(pattern: str, contact: Contact, operation: GitOperation) -> bool:
    """Whether a pattern of the policy is for this remote."""
    if pattern == "origin":
        if operation.pinned_path:
            return contact.path == operation.pinned_path
        return bool(operation.pinned_url) and _covers(pattern, contact, operation)
    local = pattern.removeprefix("file://")
    if not local.startswith("/"):
        return not contact.path and _covers(pattern, contact, operation)
    if not contact.path:
        return False
    # What the operator wrote in full may lead through a link; a wildcard is for real paths alone.
    typed = contact.url.removeprefix("file://")
    return patterns.matches(local, contact.path) or ("*" not in local and local == typed)


def _covers(pattern: str, contact: Contact, operation: GitOperation) -> bool:
    url = parse_url(contact.url)
    return url is not None and covers(pattern, url, operation.pinned_url)


def _not_allowed(operation: GitOperation, contact: Contact) -> tuple[str, str]:
    """Message and hint."""
    verb = "pushed to" if contact.push else "fetched from"
    url, pinned = printable(contact.url), printable(operation.pinned_url)
    if contact.name == "origin" and pinned:
        return (
            f"origin is {url} now, but this workspace was started with {pinned}: it may not be {verb}.",
            "Undo the change: take out what sets the URL of origin (git config --show-origin "
            "--get-regexp '^(remote|url)[.]').",
        )
    if contact.name == "origin":
        return (
            f"origin ({url}) may not be {verb}: this workspace had no origin when it was first started.",
            "Ask the operator to name it under `remotes` in the policy.",
        )
    hint = f"Use origin: git {'push' if contact.push else 'fetch'} origin" if pinned else ""
    return f"{url} may not be {verb}: the policy's `remotes` do not name it.", hint or (
        "Ask the operator to name it under `remotes` in the policy."
    )
