"""What an agent reads when any tool refuses: one `error:` line, the rule, the way forward. Pure.

Text that came from the agent is printable here; nothing names a path of the host or a secret.
"""

from __future__ import annotations

from plugins.base.model import Decision, Reason
from plugins.base.text import printable


def plain_refusal(decision: Decision, request: str = "", note: str = "") -> str:
    """The text for stderr, ending with a newline.

    `request` is the id of the approval request, if there is one; `note` says what became of it.
    """
    lines: list[str] = []
    for reason in decision.reasons:
        lines.append(f"error: {'also: ' if lines else ''}{reason.message}")
    lines += dict.fromkeys(f"rule: {_rule(reason)}" for reason in decision.reasons if reason.rule)
    lines += _hints(decision.reasons)
    lines += [f"note: {note}"] if note else []
    lines += [f"request: {request}"] if request else []
    return "".join(f"{printable(line)}\n" for line in lines)


def error_text(message: str, hint: str = "") -> str:
    """The same shape for what was never judged."""
    lines = [f"error: {message}", *([f"hint: {hint}"] if hint else [])]
    return "".join(f"{printable(line)}\n" for line in lines)


def _rule(reason: Reason) -> str:
    where = f" (policy line {reason.line})" if reason.line else ""
    return f"{reason.rule}{where}"


def _hints(reasons: tuple[Reason, ...]) -> list[str]:
    """One hint: the first."""
    return [f"hint: {reason.hint}" for reason in reasons if reason.hint][:1]
