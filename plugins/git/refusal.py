"""What the agent reads when git is refused, in the shape it knows from git. Pure.

A push is refused as a server refuses it; anything else is one `error:` line. Then the rule, and one
hint with a command that works. No secret and no path of the host but those that the agent gave itself.
"""

from __future__ import annotations

from plugins.base.model import Decision, Operation, Reason
from plugins.base.text import printable
from plugins.git.operation import GitOperation

_LABELS = {
    "blocked_branches": "protected branch",
    "allowed_branch_patterns": "branch name not allowed",
    "allow_force_push": "force push not allowed",
    "allow_delete_remote": "deletion prohibited",
    "allow_tags": "tags not allowed",
    "allowed_push_options": "push option not allowed",
    "remotes.push": "remote not allowed",
}
_OF_REFS = frozenset(_LABELS) - {"remotes.push"}


def refusal(operation: Operation, decision: Decision, request: str, note: str) -> str:
    """The text for stderr; ends with a newline."""
    reasons = decision.reasons
    as_push = (
        isinstance(operation, GitOperation)
        and bool(reasons)
        and operation.hook in ("", "pre-push")
        and all(reason.rule in _LABELS for reason in reasons)
        and any(reason.rule in _OF_REFS for reason in reasons)
    )
    lines = _push(operation, reasons) if as_push else [f"error: {reason.message}" for reason in reasons[:1]]
    lines += [] if as_push else [f"error: also: {reason.message}" for reason in reasons[1:]]
    lines += [f"rule: {_rule(operation, reason)}" for reason in _first_of_each_rule(reasons)]
    hint = next((reason.hint for reason in reasons if reason.hint), "")
    if hint:
        lines.append(f"hint: {hint}")
    lines += _approval(request, note)
    return "".join(f"{printable(line)}\n" for line in lines)


def label(rule: str) -> str:
    """The word or two that stand in brackets behind a refused ref."""
    return _LABELS.get(rule, "refused by policy")


def _push(operation: Operation, reasons: tuple[Reason, ...]) -> list[str]:
    url = operation.remote or "origin"
    lines = [f"remote: error: {reason.message}" for reason in reasons]
    lines.append(f"To {url}")
    refused: dict[str, Reason] = {}
    for reason in reasons:
        if reason.ref:
            refused.setdefault(reason.ref, reason)
    for ref, reason in refused.items():
        lines.append(f" ! [remote rejected] {_arrow(ref)} ({_LABELS[reason.rule]})")
    if not refused:
        lines.append(f" ! [remote rejected] ({_LABELS[reasons[0].rule]})")
    if isinstance(operation, GitOperation) and not operation.hook:  # after its hook, git says it itself
        lines.append(f"error: failed to push some refs to '{url}'")
    return lines


def _arrow(ref: str) -> str:
    short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    return f"{short} -> {short}"


def _first_of_each_rule(reasons: tuple[Reason, ...]) -> list[Reason]:
    first: dict[str, Reason] = {}
    for reason in reasons:
        first.setdefault(reason.rule, reason)
    return list(first.values())


def _rule(operation: Operation, reason: Reason) -> str:
    if reason.rule == "internal":
        return "built in"
    where = f" ({operation.plugin}.yaml:{reason.line})" if reason.line else ""
    return f"{reason.rule}{where}"


def _approval(request: str, note: str) -> list[str]:
    lines = [f"note: {note}"] if note else []
    return [*lines, f"request: {request}"] if request else lines
