"""Looks things up in the caller's repository by asking git itself, in the worker's sandbox.

git is asked with the caller's own global options and environment, so that what is judged is what
would run. Nothing here decides; and nothing here runs a program that the repository names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plugins.base.errors import Denied
from plugins.base.plugin import Captured, Runner
from plugins.git.commandline import Globals

_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat", "GIT_NO_LAZY_FETCH": "1"}


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks git in one place, with one caller's options."""

    runner: Runner
    cwd: str
    environment: Mapping[str, str]
    globals: Globals = field(default_factory=Globals)

    async def git(self, *arguments: str, stdin: bytes = b"") -> Captured:
        return await self.runner(
            ("git", *self.globals.words, *arguments),
            cwd=self.cwd,
            environment={**self.environment, **_QUIET},
            stdin=stdin,
        )

    async def line(self, *arguments: str) -> str:
        """The first line that git prints, or "" when it fails."""
        done = await self.git(*arguments)
        return text(done.stdout).partition("\n")[0] if done.exit_code == 0 else ""

    async def lines(self, *arguments: str) -> list[str]:
        done = await self.git(*arguments)
        return text(done.stdout).splitlines() if done.exit_code == 0 else []

    async def settings(self) -> dict[str, tuple[str, ...]]:
        """The whole configuration that counts: repository, worktree, environment and command line."""
        done = await self.git("config", "--null", "--list")
        if done.exit_code != 0:
            first = text(done.stderr).partition("\n")[0].removeprefix("fatal: ").removeprefix("error: ")
            raise Denied(
                f"git cannot read its configuration: {first or 'no reason given'}.",
                hint="Correct the file; git config --show-origin --list says where it stops.",
            )
        return parse_settings(done.stdout)

    async def aliases(self) -> dict[str, str]:
        """Aliases by name in lower case; of several values the last counts."""
        settings = await self.settings()
        prefix = "alias."
        return {
            key[len(prefix) :].removesuffix(".command").lower(): values[-1]
            for key, values in settings.items()
            if key.startswith(prefix)
        }

    async def branch(self) -> str:
        """The checked-out branch as a full ref; "" when detached or outside a repository."""
        return await self.line("symbolic-ref", "--quiet", "HEAD")

    async def top(self) -> str:
        """The directory that relative paths of remotes start from: where git itself goes."""
        top = await self.line("rev-parse", "--show-toplevel")
        return top or await self.line("rev-parse", "--absolute-git-dir") or self.cwd

    async def refs_named(self, names: tuple[str, ...]) -> frozenset[str]:
        """Which branches and tags with these short names there are."""
        if not names:
            return frozenset()
        wanted = [f"refs/{kind}/{name}" for name in names for kind in ("heads", "tags")]
        found = await self.lines("for-each-ref", "--format=%(refname)", *wanted)
        return frozenset(found) & frozenset(wanted)


def parse_settings(output: bytes) -> dict[str, tuple[str, ...]]:
    """Read `git config --null --list`: `name\\nvalue`, or `name` alone, which means true."""
    settings: dict[str, tuple[str, ...]] = {}
    for entry in text(output).split("\0"):
        name, newline, value = entry.partition("\n")
        if name:
            settings[name] = (*settings.get(name, ()), value if newline else "true")
    return settings


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
