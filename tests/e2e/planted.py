"""Code that the agent plants in its workspace, for git to run where git runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.ground import Ground
from tests.e2e.look import Seen, seen


@dataclass(frozen=True)
class Way:
    """A setting in .git/config with a program, and a command for which git runs it. `%s` is the program."""

    name: str
    setting: str
    command: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


FILTER: Final = Way("filter", '[filter "look"]\n\tclean = "%s; cat"\n', ("add", "x.look"))
WAYS: Final = (
    FILTER,
    Way("alias", '[alias]\n\tlook = "!%s"\n', ("look",)),
    Way("alias with words", '[alias]\n\tlook = "!f() { %s; }; f"\n', ("look", "--", "x")),
    Way("fsmonitor", '[core]\n\tfsmonitor = "%s; true"\n', ("status",)),
)


@contextmanager
def planting(ground: Ground, program: str, way: Way = FILTER) -> Iterator[None]:
    """While this is so, the way's command makes git run the program."""
    ground.write("x.look", "x\n")
    ground.write(".gitattributes", "*.look filter=look\n")
    config = ground.workspace / ".git" / "config"
    kept = config.read_text()
    config.write_text(kept + way.setting % program)
    yield
    config.write_text(kept)


def looked(ground: Ground, script: str, git: Callable[..., object], way: Way) -> Seen:
    """What the script shows where git runs what the agent planted."""
    return _written(ground, script, lambda place: _run(ground, place, git, way))


def _run(ground: Ground, program: str, git: Callable[..., object], way: Way) -> None:
    with planting(ground, program, way):
        git(*way.command)


def looked_by_a_hook(ground: Ground, script: str, git: Callable[..., object]) -> Seen:
    """The same of the repository's own hook, which runs when something is committed."""
    hook = ".git/hooks/post-commit"

    def run(program: str) -> None:
        (ground.workspace / hook).parent.mkdir(exist_ok=True)
        ground.write(hook, f"#!/bin/sh\n{program}\n")
        git("commit", "-q", "--allow-empty", "-m", "Looked")
        (ground.workspace / hook).unlink()

    return _written(ground, script, run)


def _written(ground: Ground, script: str, run: Callable[[str], None]) -> Seen:
    ground.write("look", script)
    said = ground.workspace / "seen"
    said.unlink(missing_ok=True)
    run("/workspace/look >/workspace/seen 2>&1")
    return seen(said.read_text())


def processes(*arguments: str) -> list[Path]:
    """Directories in /proc of all processes on this machine that were called so."""
    line = "".join(f"{each}\0" for each in arguments).encode()
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (each / "cmdline").read_bytes() == line:
                found.append(each)
    return found
