"""A decision is remembered for the same operation under the same policy, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

from plugins.base.model import ALLOW, Decision, Layer, Operation
from plugins.base.policy import Policy, parse_policy
from plugins.base.rules import ToolRules
from plugins.base.serving.decisions import Decisions

TEXT = "plugin: sh\nversion: 1\nrules: {}\n"
PLAIN = Operation("sh", Layer.ARGV, ("status",), "/w")


class Evaluated:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Policy, Operation]] = []

    def __call__(self, policy: Policy, operation: Operation) -> Decision:
        self.asked.append((policy, operation))
        return ALLOW


def _policy() -> Policy:
    return parse_policy(TEXT, file="sh.yaml", rules_model=ToolRules)


def test_the_same_again_is_not_evaluated_again() -> None:
    evaluated = Evaluated()
    decisions, policy = Decisions(evaluated), _policy()
    for _ in range(3):
        assert decisions.decide(policy, replace(PLAIN)) is ALLOW
    assert len(evaluated.asked) == 1


def test_another_policy_or_operation_is() -> None:
    evaluated = Evaluated()
    decisions, policy = Decisions(evaluated), _policy()
    others = [PLAIN, replace(PLAIN, argv=("log",)), replace(PLAIN, cwd="/w/sub"), replace(PLAIN, plugin="x")]
    for operation in others:
        decisions.decide(policy, operation)
    decisions.decide(_policy(), PLAIN)
    assert [operation for _, operation in evaluated.asked] == [*others, PLAIN]


def test_what_was_looked_up_or_is_long_is_never_remembered() -> None:
    evaluated = Evaluated()
    decisions, policy = Decisions(evaluated), _policy()
    facts = [
        replace(PLAIN, layer=Layer.HOOK),
        replace(PLAIN, remote="https://x/y"),
        replace(PLAIN, argv=("x" * 3000,)),
    ]  # fmt: skip
    for operation in facts * 2:
        decisions.decide(policy, operation)
    assert len(evaluated.asked) == 6


class WithFacts(Operation):
    """One whose author did not think of comparing."""

    def __init__(self, fact: str) -> None:
        super().__init__("sh", Layer.ARGV, ("status",), "/w")
        object.__setattr__(self, "fact", fact)


def test_facts_that_are_not_compared_are_not_taken_for_the_same() -> None:
    evaluated = Evaluated()
    decisions, policy = Decisions(evaluated), _policy()
    for fact in ("harmless", "harmful"):
        decisions.decide(policy, WithFacts(fact))
    assert len(evaluated.asked) == 2
