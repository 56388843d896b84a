"""Whether a command line takes git to a repository outside the workspace. Follows links, no more.

A friendly refusal of the plain ways (-C, --git-dir, GIT_DIR, ...); what holds is the worker's sandbox.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from plugins.git.commandline import GitCommand
from plugins.git.commandline.shellscan import UNKNOWN

_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR")
_OPTIONS = ("--git-dir", "--work-tree")


def outside(
    commands: Iterable[GitCommand], environment: Mapping[str, str], cwd: str, workspaces: Iterable[str]
) -> str:
    """The first place outside, as an absolute path; "" when there is none."""
    places = [os.path.join(cwd, environment[name]) for name in _VARIABLES if environment.get(name)]  # noqa: PTH118
    for command in commands:
        places += _places(command, cwd)
    if not places:
        return ""
    homes = [Path(workspace).resolve() for workspace in workspaces if workspace]
    if not homes:
        return ""
    return next((place for place in places if _leads_out(place, homes)), "")


def _places(command: GitCommand, cwd: str) -> Iterator[str]:
    base = cwd
    for directory in command.globals.directories:
        base = os.path.join(base, directory)  # noqa: PTH118
        yield base
    for name, value in command.globals.values:
        if name in _OPTIONS:
            yield os.path.join(base, value)  # noqa: PTH118


def _leads_out(place: str, homes: Iterable[Path]) -> bool:
    if UNKNOWN in place:  # from a shell alias: only the shell knows
        return False
    try:
        real = Path(place).resolve()
        return not any(real.is_relative_to(home) for home in homes)
    except (OSError, RuntimeError):  # a loop of links
        return True
