"""A git command line as it was read: git's own options, the subcommand, and its options and words. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


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
