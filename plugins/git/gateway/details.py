"""What a held push is, in plain text for the operator: commits that arrive, commits lost, the change.

Best effort: what cannot be fetched for showing is said to be missing, and never stops the question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final

from plugins.base.errors import Denied
from plugins.base.model import RefUpdate
from plugins.git.gateway.ancestry import walk_back
from plugins.git.gateway.history import Histories, Wish, fetch
from plugins.git.gateway.repository import Parents, Repository
from plugins.git.gateway.upstream import Upstream

_MOST_COMMITS: Final = 50
_MOST_DIFF: Final = 64 << 10  # bytes
_MOST_BASE: Final = 256 << 20  # bytes of a snapshot fetched only for showing a diff
_PART_WITHIN: Final = 4.0  # seconds: whoever pushed waits meanwhile
_ALL_WITHIN: Final = 8.0
_LINE: Final = "--format=%h %an: %s"


async def describe(
    upstream: Upstream, updates: Sequence[RefUpdate], objects: Repository, parents: Parents,
    histories: Histories, object_format: str,
) -> str:  # fmt: skip
    """Describe each changed ref."""
    parts: list[str] = []
    end = asyncio.get_running_loop().time() + _ALL_WITHIN
    for update in updates:
        parts.append(f"{update.ref}: {_kind(update)}")
        if not update.deletes:
            arriving = _arriving(upstream, update, objects, parents, histories, object_format)
            parts.append(await _in_time(arriving, "Commits that would arrive", end))
        if update.deletes or update.rewrites:
            lost = _lost(upstream, update, parents, histories, object_format)
            parts.append(await _in_time(lost, "Commits that would be lost", end))
        if not update.deletes:
            change = _change(upstream, update, objects, parents, object_format)
            parts.append(await _in_time(change, "Diff", end))
    return "\n".join(part for part in parts if part)


async def _in_time(part: Awaitable[str], what: str, end: float) -> str:
    """The part of a description, or that it takes too long. `end` is on the event loop's clock."""
    now = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(min(now + _PART_WITHIN, end)):
            return await part
    except TimeoutError:
        return f"{what}: not known (too much to get from the remote in time)"


def _kind(update: RefUpdate) -> str:
    if update.creates:
        return f"created at {update.new[:12]}"
    if update.deletes:
        return f"DELETED (was {update.old[:12]})"
    kind = "fast-forward" if update.fast_forward else "NOT a fast-forward"
    return f"{update.old[:12]} -> {update.new[:12]}, {kind}"


async def _arriving(
    upstream: Upstream, update: RefUpdate, objects: Repository, parents: Parents,
    histories: Histories, object_format: str,
) -> str:  # fmt: skip
    """The commits that the ref would gain: those that were sent, and those of the remote's other branches."""
    new, ends = _between(update.new, update.old, parents)
    said = ""
    if new:
        # Not `show`: it wants the parents too, and the last one is on the remote alone.
        lines = await _said(objects, "log", "--no-walk=unsorted", "--no-patch", _LINE, *new[:_MOST_COMMITS])
        more = f"\n... and {len(new) - _MOST_COMMITS} more" if len(new) > _MOST_COMMITS else ""
        said = f"Commits that would arrive ({len(new)}):\n{lines.rstrip()}{more}"
    elsewhere = (
        "" if update.creates else await _elsewhere(upstream, update.old, ends, histories, object_format)
    )
    return "\n".join(filter(None, (said, elsewhere))) or "No commit would arrive: the remote has all of them."


def _between(new: str, old: str, parents: Parents) -> tuple[list[str], list[str]]:
    """The known commits from `new` back to `old`, newest first, and the ones where knowledge ends."""
    found: list[str] = []
    ends: list[str] = []
    seen, todo = {new, old}, [new] if new != old else []
    while todo:
        commit = todo.pop(0)
        if commit not in parents:
            ends.append(commit)
            continue
        found.append(commit)
        fresh = [parent for parent in parents[commit] if parent not in seen]
        seen.update(fresh)
        todo.extend(fresh)
    return found, ends


async def _elsewhere(
    upstream: Upstream, old: str, ends: Sequence[str], histories: Histories, object_format: str
) -> str:
    """What the remote has already, but not on this ref."""
    if not ends:
        return ""
    try:
        await histories.learn(upstream, [old, *ends], object_format)
        async with histories.of(upstream, object_format) as known:
            text = await known.git("log", f"--max-count={_MOST_COMMITS}", _LINE, *ends, "--not", old)
    except Denied as error:
        return f"Commits from the remote's other branches: not known ({error.message})"
    lines = text.decode("utf-8", "replace").rstrip()
    return f"Commits that would arrive from the remote's other branches:\n{lines}" if lines else ""


async def _lost(
    upstream: Upstream, update: RefUpdate, parents: Parents, histories: Histories, object_format: str
) -> str:
    kept = [] if update.deletes else sorted(walk_back(update.new, update.old, parents).frontier)
    try:
        await histories.learn(upstream, [update.old, *kept], object_format)
        async with histories.of(upstream, object_format) as known:
            limit = f"--max-count={_MOST_COMMITS}"
            lost = await known.git("log", limit, _LINE, update.old, "--not", *kept)
    except Denied as error:
        return f"Commits that would be lost: not known ({error.message})"
    text = lost.decode("utf-8", "replace").rstrip()
    if update.deletes:
        return f"The branch's latest commits:\n{text}"
    return f"Commits that would be lost:\n{text}" if text else "No commit would be lost."


async def _change(
    upstream: Upstream, update: RefUpdate, objects: Repository, parents: Parents, object_format: str
) -> str:
    """The diff from what the remote has to what would arrive."""
    known_base = sorted(walk_back(update.new, update.old, parents).frontier)
    base = update.old if not update.creates else (known_base[0] if known_base else "")
    if not base:
        return ""
    try:
        missing = [oid for oid in (base, update.new) if not await objects.has(f"{oid}^{{tree}}")]
        if missing:
            pack = fetch(upstream, Wish(missing, depth=1), object_format)
            await objects.index_pack(pack, max_bytes=_MOST_BASE)
    except Denied as error:
        return f"(No diff: {error.message})"
    stat = await _said(objects, "diff", "--no-ext-diff", "--no-textconv", "--stat=100", base, update.new)
    diff = await _said(objects, "diff", "--no-ext-diff", "--no-textconv", base, update.new)
    cut = "\n... (cut)" if len(diff) > _MOST_DIFF else ""
    return f"{stat}\n{diff[:_MOST_DIFF]}{cut}"


async def _said(objects: Repository, *arguments: str) -> str:
    try:
        return (await objects.git(*arguments)).decode("utf-8", "replace")
    except Denied as error:
        return f"({error.message})"
