"""Reads a git command line as git itself reads it. Pure, and total: any input gives a `GitCommand`.

What cannot be read for certain (an unknown or ambiguous option of a subcommand that matters) is never
guessed: the command then carries a `problem`, and judging refuses it. Sources: git(1), gitcli(7) and the
behaviour of git's parse-options API (abbreviations, `--no-` forms, bundled letters, `--`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from plugins.git.commandline import options as known
from plugins.git.commandline.command import GitCommand, Given, Globals
from plugins.git.commandline.reading import Reading

__all__ = ["GitCommand", "Given", "Globals", "canonical_name", "parse"]

_SHORT: Final = 2000  # characters of a command line that is remembered


def parse(argv: Sequence[str]) -> GitCommand:
    """Read what stood after the word `git`."""
    given = tuple(argv)
    # Agents repeat themselves; what they repeat is short.
    return _parse_again(given) if sum(map(len, given)) <= _SHORT else _parse(given)


@lru_cache(maxsize=256)
def _parse_again(argv: tuple[str, ...]) -> GitCommand:
    return _parse(argv)


def _parse(argv: tuple[str, ...]) -> GitCommand:
    front, rest, problem = _read_globals(argv)
    if rest and not rest[0]:
        problem = "the subcommand is an empty word"
    if problem or not rest:
        return GitCommand(front, problem=problem)
    name, arguments = known.GLOBAL_COMMANDS.get(rest[0], rest[0]), tuple(rest[1:])
    command = GitCommand(front, name, arguments)
    if arguments[:1] == ("--help",):  # git turns it into `git help NAME`
        return replace(command, name="help", arguments=(name, *arguments[1:]), words=(name,))
    canonical = known.SAME_COMMAND.get(name, name)
    if canonical == "remote":
        return _parse_remote(command)
    read = Reading(canonical, arguments, known.SYNTAX.get(canonical, known.GENERIC)).all()
    if canonical == "config" and read.words[:1] and read.words[0] in known.CONFIG_MODES:
        return _parse_config_mode(command, read)
    has_action = canonical == "submodule" and bool(read.words)
    return replace(
        command,
        action=read.words[0] if has_action else "",
        options=tuple(read.options),
        words=tuple(read.words[has_action:]),
        problem=read.problem,
    )


def canonical_name(name: str) -> str:
    """The name that rules use for a subcommand (`init` for `init-db`)."""
    return known.SAME_COMMAND.get(name, name)


def _read_globals(argv: Sequence[str]) -> tuple[Globals, Sequence[str], str]:
    """Take git's own options off the front. Returns them, the rest, and a problem or ""."""
    front = Globals()
    index = 0
    while index < len(argv) and argv[index].startswith("-"):
        word = argv[index]
        name, equals, value = word.partition("=")
        if word in known.GLOBAL_COMMANDS:
            break
        if word in known.GLOBAL_ANSWERS or name == "--list-cmds":  # prints one line and exits
            return replace(front, words=(*front.words, word)), (), ""
        separate = word in ("-C", "-c") or (not equals and name in known.GLOBAL_VALUES)
        if separate and index + 1 >= len(argv):
            return front, (), f"`git {word}` needs a value"
        if not separate and word not in known.GLOBAL_FLAGS and not (equals and _takes_value(name)):
            return front, (), f"the option {word} of git is not known"
        front = _with_global(front, name, argv[index + 1] if separate else value)
        front = replace(front, words=(*front.words, *argv[index : index + 1 + separate]))
        index += 1 + separate
    return front, argv[index:], ""


def _takes_value(name: str) -> bool:
    return name in known.GLOBAL_VALUES or name == "--exec-path"


def _with_global(front: Globals, name: str, value: str) -> Globals:
    if name == "-C":
        return replace(front, directories=(*front.directories, value))
    if name in ("-c", "--config-env"):
        return replace(front, settings=(*front.settings, value))
    if name == "--exec-path":
        return replace(front, exec_path=value)
    if name in known.GLOBAL_VALUES:
        return replace(front, values=(*front.values, (name, value)))
    return front


def _parse_remote(command: GitCommand) -> GitCommand:
    """`git remote [-v] ACTION [options] words`: the action has a syntax of its own."""
    outer = Reading("remote", command.arguments, known.REMOTE).all()
    if outer.problem or not outer.words:
        return replace(command, options=tuple(outer.options), problem=outer.problem)
    action = known.SAME_ACTION.get(("remote", outer.words[0]), outer.words[0])
    syntax = known.REMOTE_ACTIONS.get(action)
    if syntax is None:
        return replace(command, action=action, problem=f"`git remote {action}` is not known")
    first = len(command.arguments) - len(outer.words) + 1
    inner = Reading(f"remote {action}", command.arguments, syntax, first).all()
    return replace(
        command,
        action=action,
        options=(*outer.options, *inner.options),
        words=tuple(inner.words),
        problem=inner.problem,
    )


def _parse_config_mode(command: GitCommand, outer: Reading) -> GitCommand:
    """`git config set --global ...` of git 2.46 and later: options go on after the mode."""
    first = len(command.arguments) - len(outer.words) + 1
    inner = Reading("config", command.arguments, known.SYNTAX["config"], first).all()
    return replace(
        command,
        options=(*outer.options, *inner.options),
        words=(outer.words[0], *inner.words),
        problem=outer.problem or inner.problem,
    )
