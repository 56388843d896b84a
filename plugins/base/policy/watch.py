"""Tells which tools' policy files changed, as soon as they are saved.

The directory is watched, not the files: editors replace a file by renaming, and files come and go.
Changes are hints: whoever is told reads the file anew, and finds out whether anything is different.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from watchfiles import Change, awatch

from plugins.base.policy.schema import is_tool_name

# A save is told after one quiet step, so within two steps; a burst of writes after `_DEBOUNCE` at
# the latest. A smaller step costs more: the watcher wakes up once in each, even when nothing happens.
_STEP = 20  # milliseconds
_DEBOUNCE = 60
# How often to look whether the directory was replaced in a way that no event tells.
_LOOK_AGAIN = 2000

_Stamp = tuple[int, int, int, int]


async def changes(config: Path) -> AsyncGenerator[frozenset[str], None]:
    """Yield the names of tools whose file `NAME.yaml` in `config` appeared, changed or went.

    The first set comes at once, when the watch stands: every tool that has a file. Nothing that
    happens later is missed, be it that the directory itself goes and comes back. Never ends.
    """
    known: dict[str, _Stamp] = {}
    first = True
    while True:
        async with aclosing(_watch_once(config)) as rounds:
            async for named in rounds:
                found = _scan(config)
                differing = {name for name in known.keys() | found if known.get(name) != found.get(name)}
                known = found
                if differing | named or first:
                    first = False
                    yield frozenset(differing | named)


async def _watch_once(config: Path) -> AsyncGenerator[set[str], None]:
    """Yield the names that events told; an empty set first, when the watch stands.

    Ends when the watch is on a directory that is no longer the one to watch.
    """
    watched = _to_watch(config)
    identities = [_identity(path) for path in watched]
    watcher = awatch(
        *watched, watch_filter=lambda _, path: _concerns(path, config, watched), step=_STEP,
        debounce=_DEBOUNCE, rust_timeout=_LOOK_AGAIN, yield_on_timeout=True, recursive=False,
    )  # fmt: skip
    async with aclosing(watcher):
        upcoming = asyncio.ensure_future(anext(watcher))
        try:
            await asyncio.sleep(0)  # up to its first wait: the watch stands, or failed
            if not upcoming.done():
                yield set()
            while (events := await _next(upcoming)) is not None:
                yield _names(events, config)
                if _to_watch(config) != watched or [_identity(path) for path in watched] != identities:
                    return
                upcoming = asyncio.ensure_future(anext(watcher))
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)


async def _next(upcoming: asyncio.Future[set[tuple[Change, str]]]) -> set[tuple[Change, str]] | None:
    """The events; None when the watch cannot go on, as its directory went in this very moment."""
    try:
        return await upcoming
    except (OSError, StopAsyncIteration):
        await asyncio.sleep(_STEP / 1000)
        return None


def _to_watch(config: Path) -> list[Path]:
    """The directory, and the nearest one above it, which tells when it goes or comes."""
    above = next(parent for parent in config.parents if parent.is_dir())
    return [config, above] if config.is_dir() else [above]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _concerns(path: str, config: Path, watched: list[Path]) -> bool:
    changed = Path(path)
    return _tool(changed, config) is not None or changed in watched or changed in (config, *config.parents)


def _tool(path: Path, config: Path) -> str | None:
    if path.parent == config and path.suffix == ".yaml" and is_tool_name(path.stem):
        return path.stem
    return None


def _names(events: set[tuple[Change, str]], config: Path) -> set[str]:
    return {name for _, path in events if (name := _tool(Path(path), config)) is not None}


def _scan(config: Path) -> dict[str, _Stamp]:
    """What identifies the present state of each policy file."""
    found: dict[str, _Stamp] = {}
    try:
        paths = list(config.iterdir())
    except OSError:
        return found
    for path in paths:
        name = _tool(path, config)
        if name is None:
            continue
        try:
            stat = path.stat()
        except OSError:
            found[name] = (0, 0, 0, 0)
        else:
            found[name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return found
