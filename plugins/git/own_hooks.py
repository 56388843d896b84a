"""Whether a command could run hooks of the repository's own. Most have none, and each costs a shell.

Looks at files of a hostile workspace, follows no link, and takes what is not plain to see for "any". Nothing
depends on the answer but which of git's hooks lead to the repository's own; those of the policy stay.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from plugins.git.commandline import GitCommand
from plugins.git.commandline.options import words

# They run for every ref, and every write of the index.
FREQUENT: Final = frozenset({"reference-transaction", "post-index-change"})
# Subcommands that work in this one repository, and start nothing that could go elsewhere.
_PLAIN: Final = words(
    """add am apply branch checkout cherry-pick clean commit diff fetch gc merge mv notes pull push read-tree
    rebase remote reset restore revert rm stash status switch symbolic-ref tag update-index update-ref"""
)
_ELSEWHERE: Final = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES")
_SETTINGS: Final = ("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS")
_TELLING: Final = (b"hookspath", b"include", b"worktreeconfig")
_LONGEST: Final = 256 * 1024  # bytes of a configuration that is looked at


class OwnHooks(Enum):
    """Which hooks of its own the repository may have."""

    NONE = "none"
    USUAL = "usual"  # but none of `FREQUENT`
    ANY = "any"


def own_hooks(
    command: GitCommand, caller: Mapping[str, str], cwd: str, workspaces: Iterable[str], names: frozenset[str]
) -> OwnHooks:
    """Which hooks the command could meet. `names` are those that exist; `caller` is its environment."""
    plain = command.name in _PLAIN and not command.globals.values and command.given("exec") is None
    if not plain or any(caller.get(name) for name in _ELSEWHERE):
        return OwnHooks.ANY
    try:
        roots = [Path(workspace).resolve() for workspace in workspaces]
        repository = _repository(Path(cwd, *command.globals.directories), roots)
        if repository is None:
            return OwnHooks.ANY
        found = _hooks_in(repository / "hooks") & names
        configured = _configured(command, caller) or _tells_of_hooks(repository / "config")
    except OSError:
        return OwnHooks.ANY
    if found & FREQUENT:
        return OwnHooks.ANY
    return OwnHooks.USUAL if found or configured else OwnHooks.NONE


def _repository(place: Path, roots: Sequence[Path]) -> Path | None:
    """The directory of the repository around a place, with its hooks and configuration. Raises `OSError`."""
    place = place.resolve()
    while _within(place, roots):
        mark = place / ".git"
        if _is_directory(mark):
            return None if (place / ".gitmodules").exists() else mark
        if mark.is_symlink() or mark.exists():
            return None if (place / ".gitmodules").exists() else _of_worktree(mark, roots)
        if (place / "HEAD").exists() and (place / "objects").exists():  # bare
            return None
        place = place.parent
    return None


def _of_worktree(mark: Path, roots: Sequence[Path]) -> Path | None:
    """The repository that a further worktree belongs to: its `.git` is a file (gitrepository-layout(5))."""
    pointer = _read(mark)
    if not pointer.startswith(b"gitdir: "):
        return None
    own = Path(mark.parent, os.fsdecode(pointer[len(b"gitdir: ") :].rstrip(b"\n")))
    common = (own / os.fsdecode(_read(own / "commondir").rstrip(b"\n"))).resolve()
    plain = _within(common, roots) and _is_directory(common)
    return common if plain and not _hooks_in(own / "hooks") else None


def _within(place: Path, roots: Iterable[Path]) -> bool:
    return any(place.is_relative_to(root) for root in roots)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _hooks_in(directory: Path) -> set[str]:
    """The names in a directory of hooks. Raises `OSError`; none when there is no such directory."""
    try:
        return set(os.listdir(directory))  # noqa: PTH208 -- names alone, on the way of every command
    except FileNotFoundError:
        return set()


def _configured(command: GitCommand, caller: Mapping[str, str]) -> bool:
    given = any(_tells(os.fsencode(setting)) for setting in command.globals.settings)
    return given or any(caller.get(name) for name in _SETTINGS)


def _tells_of_hooks(configuration: Path) -> bool:
    return _tells(_read(configuration))


def _tells(text: bytes) -> bool:
    lower = text.lower()
    return any(word in lower for word in _TELLING)


def _read(path: Path) -> bytes:
    """A file's bytes. Raises `OSError` for what is no regular file, a link, or too long to look at."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        data = os.read(descriptor, _LONGEST + 1)
    finally:
        os.close(descriptor)
    if len(data) > _LONGEST:
        raise OSError(f"{path} is too long")
    return data
