"""make under policy: which targets may be built, whether variables may be set (docs/writing-a-plugin.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

from plugins.base.errors import Denied
from plugins.base.model import Decision, Layer, Operation, Reason
from plugins.base.plugin import Invocation, Plugin, Runner
from plugins.base.policy import Policy
from plugins.base.rules import ToolRules, Words, judge_subcommands

# Options whose value is the next word (make(1)).
_WITH_VALUE = frozenset({"-C", "-f", "-I", "-o", "-W", "--directory", "--file", "--include-dir"})
_GOAL = ".DEFAULT_GOAL := "


class MakeRules(ToolRules):
    """The `rules:` of make.yaml. `*` in a target stands for any text."""

    allowed_targets: tuple[Words, ...] | None = None  # None: all
    allow_variables: bool = True


@dataclass(frozen=True, slots=True)
class MakeOperation(Operation):
    """What make would do. Judged from these facts alone."""

    targets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


def read(argv: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The targets and the variables of a command line, as make reads it."""
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            words += rest
        elif word in _WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            words.append(word)
    return tuple(word for word in words if "=" not in word), tuple(word for word in words if "=" in word)


class MakePlugin(Plugin):
    """make, with rules of its own."""

    rules_model: ClassVar[type[ToolRules]] = MakeRules

    async def inspect(self, invocation: Invocation, policy: Policy, run: Runner) -> Operation:
        """Find out what evaluate needs to know. Without a target, make itself is asked which one it takes."""
        targets, variables = read(invocation.argv)
        if not targets:
            targets = (await _default_goal(invocation, run),)
        return MakeOperation(
            self.tool, Layer.ARGV, invocation.argv, invocation.cwd, targets=targets, variables=variables
        )

    @classmethod
    def evaluate(cls, policy: Policy, operation: Operation) -> Decision:
        """Report every reason against it. Pure; `policy explain` calls this with nothing looked up."""
        rules = policy.rules
        if not isinstance(rules, MakeRules):
            raise TypeError("these are not the rules of make")
        if not isinstance(operation, MakeOperation):
            targets, variables = read(operation.argv)
        else:
            targets, variables = operation.targets, operation.variables
        return Decision(
            (
                *judge_subcommands(policy, operation),
                *_wrong_targets(policy, rules, targets),
                *_wrong_variables(policy, rules, variables),
            )
        )


def _wrong_targets(policy: Policy, rules: MakeRules, targets: Sequence[str]) -> list[Reason]:
    allowed = rules.allowed_targets
    if allowed is None:
        return []
    return [
        policy.reason(
            "allowed_targets",
            f"The target {target} is not one of: {', '.join(allowed) or 'none'}.",
            f"make {allowed[0]}" if allowed and "*" not in allowed[0] else "",
        )
        for target in targets
        if not any(fnmatchcase(target, pattern) for pattern in allowed)
    ]


def _wrong_variables(policy: Policy, rules: MakeRules, variables: Sequence[str]) -> list[Reason]:
    if rules.allow_variables or not variables:
        return []
    return [policy.reason("allow_variables", f"Variables may not be set: {', '.join(variables)}.")]


async def _default_goal(invocation: Invocation, run: Runner) -> str:
    """Ask make, in the sandbox: reading a Makefile can run code."""
    done = await run(
        ("make", *invocation.argv, "-pRrnq"), cwd=invocation.cwd, environment=invocation.environment
    )
    for line in done.stdout.decode("utf-8", "backslashreplace").splitlines():
        if line.startswith(_GOAL) and (goal := line.removeprefix(_GOAL).strip()):
            return goal
    raise Denied("make names no default target here.", hint="Name a target: make TARGET")
