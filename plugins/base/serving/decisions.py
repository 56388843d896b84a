"""Remembers what the policy in force decides about commands without facts: agents repeat themselves.

Judging is pure, so that the same operation under the same policy object has the same decision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from plugins.base.model import Decision, Layer, Operation
from plugins.base.policy import Policy

_MOST: Final = 256
_SHORT: Final = 2000  # characters of a command line that is remembered

Evaluate = Callable[[Policy, Operation], Decision]


class Decisions:
    """Evaluates, or remembers. For one policy at a time."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self._policy: Policy | None = None
        self._known: dict[Operation, Decision] = {}

    def decide(self, policy: Policy, operation: Operation) -> Decision:
        if not _is_plain(operation):
            return self._evaluate(policy, operation)
        if policy is not self._policy:
            self._policy, self._known = policy, {}
        decision = self._known.get(operation)
        if decision is None:
            decision = self._evaluate(policy, operation)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[operation] = decision
        return decision


def _is_plain(operation: Operation) -> bool:
    """Whether it is a short command line, with nothing that was looked up for it.

    A subclass must say for itself that equal ones are the same: one that adds facts may not compare them.
    """
    kind = type(operation)
    if kind is not Operation and not kind.__dict__.get("REPEATS", False):
        return False
    looked_up = operation.layer is not Layer.ARGV or operation.remote or operation.updates
    return not looked_up and sum(map(len, operation.argv)) + len(operation.cwd) <= _SHORT
