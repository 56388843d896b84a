"""Judges connections of a tool by `network.allow`. Pure.

First the name alone, so that nobody is even asked about a name that is not allowed; then what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from plugins.base.egress.addresses import Whose, whose
from plugins.base.model import Decision, Layer, Operation, Reason
from plugins.base.policy import Policy
from plugins.base.policy.edit import add_item
from plugins.base.policy.hosts import Allowed, Target, parse_allowed, parse_target
from plugins.base.policy.standing import no_edit
from plugins.base.text import printable

RULE: Final = "network.allow"
_VERB: Final = "connect"
_MOST_SHOWN: Final = 4  # hosts in a hint


@dataclass(frozen=True, slots=True)
class Connection(Operation):
    """A connection that a tool asks for."""

    addresses: tuple[str, ...] = ()  # what the name stands for; none: it was not looked up
    own: tuple[str, ...] = ()  # those of them that are this machine's, or its way out


def connection(
    tool: str, host: str, addresses: tuple[str, ...] = (), own: tuple[str, ...] = ()
) -> Connection:
    """A connection to HOST:PORT."""
    return Connection(tool, Layer.WIRE, (_VERB, host), "", addresses=addresses, own=own)


def is_connection(operation: Operation) -> bool:
    """Whether it is one, also as it was recorded."""
    return operation.layer is Layer.WIRE and operation.argv[:1] == (_VERB,)


def judge_connection(policy: Policy, operation: Operation) -> Decision:
    """Every reason against a connection."""
    try:
        target = _target(operation)
    except ValueError as error:
        host = printable(" ".join(operation.argv[1:]))[:100]
        return Decision((policy.reason(RULE, f"The host of {host!r} {error}.", approvable=False),))
    matching = [entry for entry in map(parse_allowed, policy.network.allow) if entry.matches(target)]
    reasons = [] if matching else [_not_allowed(policy, target)]
    if isinstance(operation, Connection):
        reasons += _addresses(policy, target, operation, matching)
    return Decision(tuple(reasons))


def relax_connection(policy: Policy, operation: Operation, reason: Reason) -> str:
    """The policy's text with this host among those that are allowed. Raises `EditError`."""
    if reason.rule != RULE or not reason.approvable:
        raise no_edit(reason)
    return add_item(policy.text, RULE, _target(operation).entry)


def _target(operation: Operation) -> Target:
    if len(operation.argv) != 2:
        raise ValueError("must be one")
    return parse_target(operation.argv[1])


def _not_allowed(policy: Policy, target: Target) -> Reason:
    """What can be mistaken for something of this machine is for the policy's file alone to name."""
    named = policy.network.allow[:_MOST_SHOWN]
    more = ", ..." if len(policy.network.allow) > len(named) else ""
    return policy.reason(
        RULE,
        f"{target} is not among the hosts that {policy.plugin} may reach.",
        f"Use one of {RULE} ({', '.join(named)}{more}), or ask the operator to add it."
        if named
        else f"Ask the operator to add it to {RULE}.",
        approvable=None if not target.is_written_out else False,
    )


def _addresses(
    policy: Policy, target: Target, operation: Connection, matching: list[Allowed]
) -> Iterator[Reason]:
    if target.is_written_out:
        return
    wildcards_only = bool(matching) and all(entry.wildcard for entry in matching)
    for address in operation.addresses:
        owner = Whose.LOCAL if address in operation.own else whose(address)
        if owner is Whose.LOCAL:
            yield policy.reason(
                RULE,
                f"{target.host} stands for {address}, which is this machine's own or next to it.",
                f"Write the address itself into {RULE} if that is meant.",
                approvable=False,
            )
        elif owner is Whose.PRIVATE and wildcards_only:
            yield policy.reason(
                RULE,
                f"{target.host} stands for {address}, which is not on the internet.",
                f"Name {target.entry} itself in {RULE}; a wildcard is not enough.",
            )
