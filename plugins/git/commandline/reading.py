"""Reads the arguments of one git subcommand by its syntax, as git's parse-options API does. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from plugins.git.commandline.command import Given
from plugins.git.commandline.options import Option, Syntax, Takes


class Reading:
    """Reads the arguments of one subcommand by its syntax."""

    def __init__(self, name: str, arguments: Sequence[str], syntax: Syntax, first: int = 0) -> None:
        self._name = name
        self._arguments = arguments
        self._syntax = syntax
        self._index = first
        self.options: list[Given] = []
        self.words: list[str] = []
        self.problem = ""

    def all(self) -> Reading:
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
