"""Says in lines for a person what a policy makes of an operation, and why. Pure."""

from __future__ import annotations

from plugins.base.model import Decision, Operation, Reason
from plugins.base.policy import Policy
from plugins.base.text import printable


def explain(policy: Policy, operation: Operation, decision: Decision) -> list[str]:
    """The verdict, then for each reason its rule with line and text, the way forward and who may say yes."""
    verdict = "ALLOWED" if decision.allowed else "BLOCKED"
    lines = [f"{verdict}  {printable(operation.summary)}"]
    lines += [f"  {fact}" for fact in _facts(operation)]
    for reason in decision.reasons:
        lines += [f"  {line}" for line in _reason(policy, reason)]
    if not decision.allowed:
        lines.append(f"  {_approval(policy, decision)}")
    return lines


def _facts(operation: Operation) -> list[str]:
    facts = [f"remote: {printable(operation.remote)}"] if operation.remote else []
    for update in operation.updates:
        kind = "create" if update.creates else "delete" if update.deletes else "update"
        if update.rewrites:
            kind = "rewrite" if update.fast_forward is False else "update, perhaps a rewrite"
        facts.append(f"{kind}: {printable(update.ref)}")
    return facts


def _reason(policy: Policy, reason: Reason) -> list[str]:
    lines = [f"{reason.rule}: {printable(reason.message)}"]
    if reason.line is None:
        lines.append("  (by default; the policy file does not mention it)")
    else:
        lines.append(f"  {policy.plugin}.yaml:{reason.line}: {_line(policy.text, reason.line)}")
    if reason.hint:
        lines.append(f"  hint: {printable(reason.hint)}")
    return lines


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return printable(lines[number - 1].strip()) if number <= len(lines) else ""


def _approval(policy: Policy, decision: Decision) -> str:
    if decision.approvable:
        return f"An operator can approve it; the command waits up to {policy.approvals.hold_seconds:g} s."
    if policy.approvals.on_block == "refuse":
        return "No one is asked: `approvals.on_block` is `refuse`."
    rules = ", ".join(dict.fromkeys(reason.rule for reason in decision.reasons if not reason.approvable))
    return f"No one can approve past {rules}."
