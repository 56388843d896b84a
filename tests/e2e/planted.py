"""Code that the agent plants in its workspace, for git to run where git runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.ground import Ground


@contextmanager
def planting(ground: Ground, clean: str) -> Iterator[None]:
    """While this is so, adding x.look runs `clean`, written as in .git/config."""
    ground.write("x.look", "x\n")
    ground.write(".gitattributes", "*.look filter=look\n")
    config = ground.workspace / ".git" / "config"
    kept = config.read_text()
    config.write_text(kept + f'[filter "look"]\n\tclean = {clean}\n')
    yield
    config.write_text(kept)


def processes(*arguments: str) -> list[Path]:
    """Directories in /proc of all processes on this machine that were called so."""
    line = "".join(f"{each}\0" for each in arguments).encode()
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (each / "cmdline").read_bytes() == line:
                found.append(each)
    return found
