"""Which repositories outside the workspace the worker must reach: the local remotes that the policy allows.

Only what is a git repository already is opened up, by its real path, and never a directory that holds
the plugin's own state. A policy that names a wildcard opens what matches when the worker starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from plugins.git import addresses


def repositories(patterns: Iterable[str], *, origin: str, workspace: str, state: str) -> tuple[str, ...]:
    """Real paths of the git directories that these remotes name; `origin` stands for the pinned URL."""
    found: dict[str, None] = {}
    for pattern in patterns:
        for path in _paths(origin if pattern == "origin" else pattern, workspace):
            directory = _git_directory(Path(path))
            if directory is not None and _may_open(directory, workspace, state):
                found[str(directory)] = None
    return tuple(found)


def borrowed_objects(directories: Iterable[str]) -> tuple[str, ...]:
    """Object directories that these repositories borrow from (objects/info/alternates), at any depth."""
    found: dict[str, None] = {}
    waiting = [Path(directory, "objects") for directory in directories]
    while waiting:
        objects = waiting.pop()
        for other in _alternates(objects):
            if str(other) not in found:
                found[str(other)] = None
                waiting.append(other)
    return tuple(found)


def _paths(url: str, workspace: str) -> Iterator[str]:
    if not url or addresses.kind(url) is not addresses.Kind.LOCAL:
        return
    path = addresses.local_path(url, workspace)
    if "*" in path:
        yield from sorted(glob(path.replace("[", "[[]").replace("?", "[?]")))  # noqa: PTH207 - a pattern of absolute paths
    else:
        yield addresses.real_path(path)


def _git_directory(path: Path) -> Path | None:
    """The directory with HEAD, objects and refs: the path itself when bare, else its .git."""
    for candidate in (path / ".git", path):
        if (
            (candidate / "objects").is_dir()
            and (candidate / "refs").is_dir()
            and (candidate / "HEAD").is_file()
        ):
            return candidate.resolve()
    return None


def _may_open(directory: Path, workspace: str, state: str) -> bool:
    if not state:
        return False
    private = Path(state).resolve()
    inside = directory.is_relative_to(Path(workspace).resolve())
    return not inside and not private.is_relative_to(directory) and not directory.is_relative_to(private)


def _alternates(objects: Path) -> Iterator[Path]:
    try:
        lines = os.fsdecode((objects / "info" / "alternates").read_bytes()).splitlines()
    except OSError:
        return
    for line in lines:
        other = (objects / line).resolve()
        if other.name == "objects" and ((other / "pack").is_dir() or (other / "info").is_dir()):
            yield other
