"""Reads a git command line as git itself reads it. Pure, and total: any input gives a `GitCommand`.

What cannot be read for certain (an unknown or ambiguous option of a subcommand that matters) is never
guessed: the command then carries a `problem`, and judging refuses it. Sources: git(1), gitcli(7) and the
behaviour of git's parse-options API (abbreviations, `--no-` forms, bundled letters, `--`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from plugins.git.commandline import options as known
from plugins.git.commandline.options import Option, Syntax, Takes

_SHORT: Final = 2000  # characters of a command line that is remembered


@dataclass(frozen=True, slots=True)
class Given:
    """An option as it was given. The place lets it be taken out of the command line again."""

    name: str  # canonical: "force" for -f, --force and --forc
    value: str | None
    negated: bool  # --no-force
    index: int  # which argument after the subcommand
    letter: int  # which character of a bundle of letters; 0 for a long option


@dataclass(frozen=True, slots=True)
class Globals:
    """git's own options, before the subcommand."""

    words: tuple[str, ...] = ()  # as given
    directories: tuple[str, ...] = ()  # -C
    settings: tuple[str, ...] = ()  # -c and --config-env, as given
    exec_path: str | None = None  # --exec-path=PATH
    values: tuple[tuple[str, str], ...] = ()  # --git-dir, --work-tree, --namespace


@dataclass(frozen=True, slots=True)
class GitCommand:
    """One git command, read but not judged."""

    globals: Globals = field(default_factory=Globals)
    name: str = ""  # the subcommand; "" when there is none
    arguments: tuple[str, ...] = ()  # all that follows it, as given
    action: str = ""  # the second command word, for those that have one: `remote set-url`
    options: tuple[Given, ...] = ()
    words: tuple[str, ...] = ()  # what is neither option nor value; without the action
    problem: str = ""  # why it could not be read

    def given(self, name: str) -> Given | None:
        """The option as it counts: the later one wins. None when it was not given."""
        return next((each for each in reversed(self.options) if each.name == name), None)

    def on(self, name: str) -> bool:
        """Whether an option is on at the end: given, and not negated later."""
        option = self.given(name)
        return option is not None and not option.negated

    def value(self, name: str) -> str | None:
        """The value that counts, or None when the option is off or has none."""
        option = self.given(name)
        return None if option is None or option.negated else option.value

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line again, without the word `git`."""
        return (*self.globals.words, *((self.name, *self.arguments) if self.name else ()))

    def without(self, *names: str) -> tuple[str, ...]:
        """The arguments with every mention of these options (that take no value) taken out."""
        drop = [each for each in self.options if each.name in names]
        letters = {(each.index, each.letter) for each in drop if each.letter}
        whole = {each.index for each in drop if not each.letter}
        kept: list[str] = []
        for index, argument in enumerate(self.arguments):
            text = "".join(c for place, c in enumerate(argument) if (index, place) not in letters)
            if index not in whole and (text != "-" or argument == "-"):
                kept.append(text)
        return tuple(kept)


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
    read = _Reading(canonical, arguments, known.SYNTAX.get(canonical, known.GENERIC)).all()
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
    outer = _Reading("remote", command.arguments, known.REMOTE).all()
    if outer.problem or not outer.words:
        return replace(command, options=tuple(outer.options), problem=outer.problem)
    action = known.SAME_ACTION.get(("remote", outer.words[0]), outer.words[0])
    syntax = known.REMOTE_ACTIONS.get(action)
    if syntax is None:
        return replace(command, action=action, problem=f"`git remote {action}` is not known")
    first = len(command.arguments) - len(outer.words) + 1
    inner = _Reading(f"remote {action}", command.arguments, syntax, first).all()
    return replace(
        command,
        action=action,
        options=(*outer.options, *inner.options),
        words=tuple(inner.words),
        problem=inner.problem,
    )


def _parse_config_mode(command: GitCommand, outer: _Reading) -> GitCommand:
    """`git config set --global ...` of git 2.46 and later: options go on after the mode."""
    first = len(command.arguments) - len(outer.words) + 1
    inner = _Reading("config", command.arguments, known.SYNTAX["config"], first).all()
    return replace(
        command,
        options=(*outer.options, *inner.options),
        words=(outer.words[0], *inner.words),
        problem=outer.problem or inner.problem,
    )


class _Reading:
    """Reads the arguments of one subcommand by its syntax."""

    def __init__(self, name: str, arguments: Sequence[str], syntax: Syntax, first: int = 0) -> None:
        self._name = name
        self._arguments = arguments
        self._syntax = syntax
        self._index = first
        self.options: list[Given] = []
        self.words: list[str] = []
        self.problem = ""

    def all(self) -> _Reading:
        while self._index < len(self._arguments) and not self.problem:
            argument = self._arguments[self._index]
            if argument in ("--", "--end-of-options"):
                self.words += self._arguments[self._index + 1 :]
                break
            if argument.startswith("--"):
                self._read_long(argument[2:])
            elif argument.startswith("-") and argument != "-":
                self._read_letters(argument)
            elif self._syntax.stops:
                self.words += self._arguments[self._index :]
                break
            else:
                self.words.append(argument)
            self._index += 1
        return self

    def _read_long(self, text: str) -> None:
        name, equals, value = text.partition("=")
        found = _find_long(self._syntax, name)
        if len(found) != 1:
            word = "ambiguous" if found else "not known"
            self._unclear(f"the option --{name} of git {self._name} is {word}", bool(found))
            return
        form = found.pop()
        attached = value if equals else None
        if attached is None and form.takes is Takes.VALUE and not form.negated:
            self._take_next(form.name, f"--{name}", self._index, 0)
        else:
            self.options.append(Given(form.name, attached, form.negated, self._index, 0))

    def _read_letters(self, argument: str) -> None:
        index = self._index
        for place in range(1, len(argument)):
            letter, rest = argument[place], argument[place + 1 :]
            option = self._syntax.short.get(letter)
            if option is None:
                self._unclear(f"the option -{letter} of git {self._name} is not known")
                if self._syntax.strict:
                    return
                continue
            form = _Form.of(option)
            if option.takes is Takes.VALUE and not rest:
                self._take_next(form.name, f"-{letter}", index, place)
                return
            takes_rest = option.takes is not Takes.NOTHING
            self.options.append(
                Given(form.name, (rest or None) if takes_rest else None, form.negated, index, place)
            )
            if takes_rest:
                return

    def _take_next(self, name: str, shown: str, index: int, letter: int) -> None:
        """The value is the next argument, whatever it looks like."""
        if self._index + 1 >= len(self._arguments):
            self._unclear(f"the option {shown} of git {self._name} needs a value")
            return
        self._index += 1
        self.options.append(Given(name, self._arguments[self._index], False, index, letter))

    def _unclear(self, problem: str, ambiguous: bool = False) -> None:
        """Note a problem; where unknown options are skipped, only what is ambiguous is one."""
        if self._syntax.strict or ambiguous:
            self.problem = problem


@dataclass(frozen=True, slots=True)
class _Form:
    """What one way to write an option means. "no-verify" is `verify`, negated."""

    name: str
    negated: bool
    takes: Takes

    @classmethod
    def of(cls, option: Option, negated: bool = False) -> _Form:
        own = option.name.startswith("no-")
        return cls(option.name.removeprefix("no-"), negated != own, option.takes)


def _find_long(syntax: Syntax, name: str) -> set[_Form]:
    """What `--name` may mean: exactly, else as an abbreviation. More than one: ambiguous."""
    exact = {form for long, form in _long_forms(syntax) if long == name}
    return exact or {form for long, form in _long_forms(syntax) if long.startswith(name)}


def _long_forms(syntax: Syntax) -> Iterator[tuple[str, _Form]]:
    """Every way to write a long option: itself, and negated."""
    for long, option in syntax.long.items():
        yield long, _Form.of(option)
        yield (long[3:] if long.startswith("no-") else f"no-{long}"), _Form.of(option, True)
