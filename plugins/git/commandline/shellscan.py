"""Finds the git commands in a shell script, such as a shell alias. Pure; it judges nothing.

A reader of the shell's grammar as far as simple commands go (POSIX, "Shell Command Language"), not a
shell: what an expansion would give is not known, and stands as `UNKNOWN` in a word. That is enough for
early and friendly refusals; what the script really pushes is judged by the pre-push hook.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

UNKNOWN = "\0"  # stands in a word for what only the shell will know

_MAX_NESTING = 8
_KEYWORDS = frozenset(
    {"if", "then", "elif", "else", "do", "while", "until", "!", "{", "time", "fi", "done", "}"}
)
_HEADS = frozenset({"for", "case", "function", "select"})  # what follows is no command
_CARRIERS = frozenset(
    {"exec", "command", "env", "nohup", "nice", "sudo", "xargs", "builtin", "time", "timeout"}
)
_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "zsh", "ash"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
# A script that cannot be understood is refused when it names one of these.
_TELLING = re.compile(r"push|send-pack|receive-pack|http-|remote|config|credential|daemon")


@dataclass(frozen=True, slots=True)
class Scan:
    """The git commands found (each without the word `git`), and why the script was not understood."""

    commands: tuple[tuple[str, ...], ...] = ()
    problem: str = ""


def scan(script: str) -> Scan:
    """Find every git command that the script names."""
    found = _Found()
    _scan(script, found, 0)
    opaque = found.opaque and _TELLING.search(script) is not None
    return Scan(
        tuple(found.commands),
        "a shell alias hides what it runs (eval, or a command that only the shell knows)" if opaque else "",
    )


@dataclass(slots=True)
class _Found:
    commands: list[tuple[str, ...]] = field(default_factory=list)
    opaque: bool = False


def _scan(script: str, found: _Found, depth: int) -> None:
    if depth > _MAX_NESTING:
        found.opaque = True
        return
    reader = _Reader(script)
    for words in reader.simple_commands():
        _command(words, found, depth)
    for inner in reader.inner:
        _scan(inner, found, depth + 1)
    found.opaque = found.opaque or reader.broken


def _command(words: list[str], found: _Found, depth: int) -> None:
    """Note what one simple command runs."""
    while words and (words[0] in _KEYWORDS or _ASSIGNMENT.fullmatch(words[0])):
        words = words[1:]
    if not words or words[0] in _HEADS:
        return
    name = PurePosixPath(words[0]).name
    if name in _CARRIERS:
        _carried(words[1:], found, depth)
    elif UNKNOWN in words[0] or name in ("eval", "source", "."):
        found.opaque = True
    elif name in _SHELLS:
        _shell(words[1:], found, depth)
    elif name == "git":
        found.commands.append(tuple(words[1:]))
        found.opaque = found.opaque or _hides_subcommand(words[1:])
    elif name.startswith("git-"):
        found.commands.append((name.removeprefix("git-"), *words[1:]))


def _carried(words: list[str], found: _Found, depth: int) -> None:
    """`env X=1 nice -n 5 git ...`: the command begins at the first word that could be one."""
    for index, word in enumerate(words):
        name = PurePosixPath(word).name
        if name in {"git", "eval", *_SHELLS, *_CARRIERS} or name.startswith("git-") or UNKNOWN in word:
            _command(words[index:], found, depth)
            return


def _shell(words: list[str], found: _Found, depth: int) -> None:
    """`sh -c SCRIPT`: a script in the script."""
    for option, script in pairwise(words):
        if option.startswith("-") and option.endswith("c"):
            found.opaque = found.opaque or UNKNOWN in script
            _scan(script.replace(UNKNOWN, "$_"), found, depth + 1)
            return


def _hides_subcommand(words: list[str]) -> bool:
    """Whether what comes before the subcommand, or itself, is only known to the shell."""
    for word in words:
        if UNKNOWN in word:
            return True
        if not word.startswith("-"):
            return False
    return False


class _Reader:
    """Splits a script into simple commands; scripts inside substitutions are collected in `inner`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.inner: list[str] = []
        self.broken = False  # an unclosed quote, or a here-document

    def simple_commands(self) -> list[list[str]]:
        commands: list[list[str]] = [[]]
        skip_next = False
        while (char := self._peek()) is not None:
            if char in " \t":
                self._at += 1
            elif char == "#":
                self._skip_comment()
            elif char in "<>":
                self._redirection()
                skip_next = True
            elif char in ";&|()\n":
                self._at += 1
                commands.append([])
            else:
                word = self._word()
                if not skip_next and not (word.isdigit() and self._peek() in ("<", ">")):
                    commands[-1].append(word)
                skip_next = False
        return commands

    def _peek(self) -> str | None:
        return self._text[self._at] if self._at < len(self._text) else None

    def _skip_comment(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _redirection(self) -> None:
        start = self._at
        while self._peek() in ("<", ">", "&", "|"):
            self._at += 1
        self.broken = self.broken or self._text[start : self._at].startswith("<<")

    def _word(self) -> str:
        pieces: list[str] = []
        while (char := self._peek()) is not None and char not in " \t\n;&|()<>":
            pieces.append(self._piece(char))
        return "".join(pieces)

    def _piece(self, char: str) -> str:
        if char == "'":
            return self._until("'")
        if char == '"':
            return self._double_quoted()
        if char == "\\":
            self._at += 2
            escaped = self._text[self._at - 1 : self._at]
            return "" if escaped == "\n" else escaped
        if char in "$`":
            return self._expansion(char)
        self._at += 1
        return char

    def _until(self, end: str) -> str:
        """The text up to the next `end`, past it."""
        start = self._at + 1
        stop = self._text.find(end, start)
        if stop < 0:
            self.broken = True
            stop = len(self._text)
        self._at = stop + 1
        return self._text[start:stop]

    def _double_quoted(self) -> str:
        self._at += 1
        pieces: list[str] = []
        while (char := self._peek()) != '"':
            if char is None:
                self.broken = True
                break
            if char in "$`":
                pieces.append(self._expansion(char))
            elif char == "\\":
                pieces.append(self._text[self._at + 1 : self._at + 2])
                self._at += 2
            else:
                pieces.append(char)
                self._at += 1
        self._at += 1
        return "".join(pieces)

    def _expansion(self, char: str) -> str:
        """`$(...)` and backquotes are scripts of their own; any other expansion is just not known."""
        if char == "`":
            self.inner.append(self._until("`").replace("\\`", "`"))
        elif self._text.startswith("$(", self._at):
            self._at += 1
            self.inner.append(self._balanced())
        elif self._text.startswith("${", self._at):
            self._until("}")
        else:
            self._at += 1
            name = re.compile(r"[A-Za-z0-9_]+|[@*#?$!-]").match(self._text, self._at)
            if name is None:
                return "$"
            self._at = name.end()
        return UNKNOWN

    def _balanced(self) -> str:
        """The text between this parenthesis and the one that closes it."""
        start, level = self._at + 1, 0
        while (char := self._peek()) is not None:
            if char == "'":
                self._until("'")
                continue
            if char == "\\":
                self._at += 1
            level += {"(": 1, ")": -1}.get(char, 0)
            self._at += 1
            if level == 0:
                return self._text[start : self._at - 1]
        self.broken = True
        return self._text[start:]
