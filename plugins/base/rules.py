"""The rules that serve any tool: which subcommands may run. Pure.

A pattern is words: the subcommand first, then words and options that must come with it
(`publish`, `config --global`, `remote set-url`). Words match whole, never in part: `publish` does
not block `run publish-docs`. What cannot be known of a tool in general is read against the
caller: the word after an option may be that option's value or the subcommand, and counts as both.
Aliases of subcommands (`npm un` for `uninstall`) must be listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from plugins.base.model import Operation, Reason

if TYPE_CHECKING:
    from plugins.base.policy import Policy

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class ToolRules(BaseModel):
    """The `rules:` of a policy file. Plugins with rules of their own add fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    blocked_subcommands: tuple[Words, ...] = ()
    allowed_subcommands: tuple[Words, ...] | None = None  # None: all that are not blocked


def judge_subcommands(policy: Policy, operation: Operation) -> tuple[Reason, ...]:
    """Return a reason for each pattern that blocks the command, and one if no pattern allows it."""
    rules = policy.rules
    reasons = [
        policy.reason(
            "blocked_subcommands",
            f"`{operation.plugin} {pattern}` is blocked.",
            "Leave it out, or ask the operator to run it.",
        )
        for pattern in rules.blocked_subcommands
        if matches(pattern, operation.argv)
    ]
    allowed = rules.allowed_subcommands
    if allowed is not None and not _all_allowed(allowed, operation.argv):
        reasons.append(
            policy.reason(
                "allowed_subcommands",
                f"Only these may run: {', '.join(allowed) or 'none'}.",
                "Put the subcommand before its options, or write an option's value as --option=value.",
            )
        )
    return tuple(reasons)


def matches(pattern: str, argv: Sequence[str]) -> bool:
    """Whether a command line can be read as what the pattern names."""
    words = pattern.split()
    options = [word for word in words if word.startswith("-")]
    positionals = [word for word in words if not word.startswith("-")]
    return _can_read(positionals, argv) and all(_has_option(option, argv) for option in options)


def _can_read(positionals: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether the words stand in this order at the front, with options and their values between."""
    if not positionals:
        return True
    return any(
        argv[index] == positionals[0] and _can_read(positionals[1:], argv[index + 1 :])
        for index in _first_words(argv)
    )


def _first_words(argv: Sequence[str]) -> list[int]:
    """The places of the words that may be the first positional one."""
    places: list[int] = []
    for index, word in enumerate(argv):
        if word.startswith("-") and word != "-":
            continue
        places.append(index)
        before = argv[index - 1] if index else ""
        if not before.startswith("-") or before == "--" or "=" in before:
            break
    return places


def _has_option(option: str, argv: Sequence[str]) -> bool:
    return any(_is_option(option, word) for word in argv)


def _is_option(option: str, word: str) -> bool:
    """Whether `word` gives the option: whole, with a value, abbreviated, or among combined letters."""
    if option.startswith("--"):
        name = word.partition("=")[0]
        return len(name) > 2 and option.startswith(name) and name.startswith("--")
    if len(option) == 2:
        return word.startswith("-") and not word.startswith("--") and option[1] in word[1:]
    return word == option


def _all_allowed(allowed: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether every way to read the command line is allowed. A tool without any word may run."""
    places = _first_words(argv)
    return all(any(matches(pattern, argv[place:]) for pattern in allowed) for place in places)
