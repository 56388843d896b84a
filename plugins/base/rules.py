"""The rules that serve any tool: which subcommands may run. Pure.

A pattern is words: the subcommand first, then words and options that must come with it
(`publish`, `config --global`, `remote set-url`). Words match whole, never in part: `publish` does
not block `run publish-docs`. Options match in any place, as `--global`, `--global=value`, shortened
(`--glob`) or with one dash; `-f` also among combined letters (`-rf`).

What cannot be known of a tool in general is read against the caller. The word after an option may
be the option's value or the subcommand, so it counts as both: `--loglevel silly publish` is
blocked, and with an allow list both readings must be allowed.

What this cannot know: a tool's aliases and abbreviations of subcommands (`npm add`, `npm publi`), and
options that take more than one word. List them, or name what may run in `allowed_subcommands`,
which nothing unknown passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from plugins.base.model import Operation, Reason

if TYPE_CHECKING:
    from plugins.base.policy import Policy

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]

# Without a subcommand, an allow list lets these pass: they only tell something.
_TELLING = frozenset({"--version", "--help", "-h", "-V"})


class ToolRules(BaseModel):
    """The `rules:` of a policy file. Plugins with rules of their own add fields.

    Lists are tuples here, and the values strict: `plugins.base.policy.yaml_nodes` makes no others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    own_gateway: ClassVar[bool] = False  # the plugin has one, so the policy can have no `network:`
    commands: ClassVar[bool] = True  # there are commands to judge, so the policy must have `rules:`

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
    if allowed is not None and not all_allowed(allowed, operation.argv):
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
    words, options = _parts(pattern)
    return _reads(words, argv, any) and all(any(_may_be(option, word) for word in argv) for option in options)


def all_allowed(allowed: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether every way to read the command line is named by one of the patterns."""
    places = _first_words(argv)
    if not places:
        telling = bool(argv) and set(argv) <= _TELLING
        return telling or any(_surely_matches(one, argv) for one in allowed)
    return all(any(_surely_matches(one, argv, place) for one in allowed) for place in places)


def _surely_matches(pattern: str, argv: Sequence[str], start: int = 0) -> bool:
    """Whether the command line, its first word at `start`, can only be read as what the pattern names."""
    words, options = _parts(pattern)
    if not words and start:
        return False
    given = argv[: argv.index("--")] if "--" in argv else argv
    return _reads(words, argv[start:], all) and all(
        any(word.partition("=")[0] == option for word in given) for option in options
    )


@lru_cache(maxsize=512)
def _parts(pattern: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pattern's words and its options."""
    words = pattern.split()
    return tuple(word for word in words if not _is_option(word)), tuple(filter(_is_option, words))


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _reads(words: Sequence[str], argv: Sequence[str], quantor: Callable[[list[bool]], bool]) -> bool:
    """Whether the words stand in this order at the front, with options and their values between."""
    if not words:
        return True
    readings = [
        argv[place] == words[0] and _reads(words[1:], argv[place + 1 :], quantor)
        for place in _first_words(argv)
    ]
    return bool(readings) and quantor(readings)


def _first_words(argv: Sequence[str]) -> list[int]:
    """The places of the words that may be the first one that is neither option nor an option's value."""
    places: list[int] = []
    for index, word in enumerate(argv):
        if _is_option(word):
            continue
        places.append(index)
        before = argv[index - 1] if index else ""
        if not _is_option(before) or before == "--" or "=" in before:
            break
    return places


def _may_be(option: str, word: str) -> bool:
    """Whether `word` may give the option: whole, with a value, shortened, or among combined letters."""
    name = word.partition("=")[0]
    if option.startswith("--"):
        shortest = 3 if name.startswith("--") else 4
        return len(name) >= shortest and option.lstrip("-").startswith(name.lstrip("-")) and _is_option(name)
    if len(option) == 2:
        return _is_option(word) and not word.startswith("--") and option[1] in word[1:]
    return name in (option, f"-{option}")
