"""Aliases: what a name that is not git's own stands for. Pure.

git looks for its own subcommand first, then for a program `git-NAME`, then for an alias. What an
alias resolves to here is what runs, so that a change of the configuration in between changes nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plugins.git.commandline import GitCommand, parse
from plugins.git.commandline.shellscan import UNKNOWN, scan

_MAX_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Expansion:
    """What an alias stands for: one git command, or a script with the git commands found in it."""

    runs: GitCommand  # for a shell alias: the alias itself, with all that is passed to it
    commands: tuple[GitCommand, ...]  # what is to be judged
    script: str | None = None  # of a shell alias, without its "!"
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """git commands within another one, and why they could not be told."""

    commands: tuple[GitCommand, ...] = ()
    problem: str = ""

    def __bool__(self) -> bool:
        return bool(self.commands or self.problem)


NOTHING: Final = Found()


def expand(command: GitCommand, aliases: Mapping[str, str], own: frozenset[str], depth: int = 0) -> Expansion:
    """Resolve a command. `aliases` maps lower-case names to values; `own` are git's subcommands."""
    seen: set[str] = set()
    while command.name and command.name not in own:
        name = command.name.lower()
        value = aliases.get(name)
        if value is None:
            break
        if name in seen or depth + len(seen) >= _MAX_DEPTH:
            return Expansion(command, (command,), problem=f"the alias {name} leads back to itself")
        seen.add(name)
        if value.startswith("!"):
            return _script(command, value[1:], aliases, own, depth + len(seen))
        words = split(value)
        problem = _unusable(name, words)
        if problem:
            return Expansion(command, (command,), problem=problem)
        command = parse((*command.globals.words, *words, *command.arguments))
    return Expansion(command, (command,))


def _unusable(name: str, words: tuple[str, ...]) -> str:
    if not words:
        return f"the alias {name} is empty or has an unclosed quote"
    return f"the alias {name} sets options of git itself" if parse(words).globals.words else ""


def split(value: str) -> tuple[str, ...]:
    """Split an alias into words as git does; () when a quote is not closed."""
    try:
        return tuple(shlex.split(value))
    except ValueError:
        return ()


def _script(
    command: GitCommand, script: str, aliases: Mapping[str, str], own: frozenset[str], depth: int
) -> Expansion:
    """A shell alias: the git commands in it, each resolved in turn."""
    found = scan(f"{script} {shlex.join(command.arguments)}" if command.arguments else script)
    inner = [
        expand(parse(words), aliases, own, depth)
        for words in _with_options(found.commands, command.arguments)
    ]
    problem = next((each.problem for each in inner if each.problem), found.problem)
    commands = tuple(each for expansion in inner for each in expansion.commands)
    return Expansion(command, commands, script, problem)


def _with_options(commands: tuple[tuple[str, ...], ...], arguments: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The commands, and once more with the caller's options wherever only the shell knows a word.

    So `ship --mirror` is seen for what it is when `ship` is `!f() { git push "$@"; }; f`.
    """
    options = tuple(argument for argument in arguments if argument.startswith("-"))
    seen = list(commands)
    for words in commands if options else ():
        if UNKNOWN in words:
            place = words.index(UNKNOWN)
            seen.append((*words[:place], *options, *words[place:]))
    return seen


def nested(command: GitCommand) -> Found:
    """The git commands that a command is told to run (rebase --exec, bisect run, submodule foreach)."""
    if command.name == "rebase":
        scripts = [option.value or "" for option in command.options if option.name == "exec"]
    elif command.name == "bisect" and command.words[:1] == ("run",):
        scripts = [shlex.join(command.arguments[1:])]
    elif command.name == "submodule" and command.action == "foreach":
        words = command.arguments[command.arguments.index("foreach") + 1 :]
        scripts = [" ".join(word for word in words if word != "--recursive")]
    else:
        return NOTHING
    scans = [scan(script) for script in scripts]
    commands = tuple(parse(words) for each in scans for words in each.commands)
    return Found(commands, next((each.problem for each in scans if each.problem), ""))
