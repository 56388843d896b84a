"""An operator's "always": the policy's text, changed so that an operation that it blocks is allowed.

The rules that object are changed one by one, and the same `evaluate` that enforces says when none is
left. Pure: nothing is written, and whoever asks sees the difference before saving it.
"""

from __future__ import annotations

from plugins.base.model import Operation, Reason
from plugins.base.plugin import Plugin
from plugins.base.policy import Policy, parse_policy
from plugins.base.policy.edit import EditError, add_item, remove_item
from plugins.base.rules import matches

_MOST_EDITS = 50
_BY_HAND = "Approve it once or for a time, or edit the policy by hand."


def standing_policy(plugin: type[Plugin], policy: Policy, operation: Operation) -> str:
    """The text of a policy that allows the operation. Raises `EditError` when no edit of a rule does."""
    for edits in range(_MOST_EDITS):
        decision = plugin.decide(policy, operation)
        if decision.allowed and edits:
            return policy.text
        if decision.allowed:
            raise EditError("No rule that could be changed blocks this.", hint=_BY_HAND)
        text = plugin.relax(policy, operation, decision.reasons[0])
        policy = parse_policy(
            text, file=f"{policy.plugin}.yaml", rules_model=plugin.rules_model, plugin=policy.plugin
        )
    raise EditError("Too many rules block this.", hint=_BY_HAND)


def relax_subcommands(policy: Policy, operation: Operation, reason: Reason) -> str:
    """Take what blocks a subcommand out of the list, or put the subcommand among those that may run."""
    rules = policy.rules
    if reason.rule == "blocked_subcommands":
        for pattern in rules.blocked_subcommands:
            if matches(pattern, operation.argv):
                return remove_item(policy.text, "rules.blocked_subcommands", pattern)
    words = [word for word in operation.argv if not word.startswith("-")]
    if reason.rule == "allowed_subcommands" and words and words[0] not in (rules.allowed_subcommands or ()):
        return add_item(policy.text, "rules.allowed_subcommands", words[0])
    raise no_edit(reason)


def no_edit(reason: Reason) -> EditError:
    return EditError(f"No change of {reason.rule} would always allow just this.", hint=_BY_HAND)
