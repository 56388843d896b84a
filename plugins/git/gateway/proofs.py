"""What a push is, proven from what the gateway received and fetched itself, before it is judged.

Fast-forwards are proven as early as possible: often the commits at the begin of a pack lead back to the
old value, and then the rest of the pack need not be kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from plugins.base.model import RefUpdate
from plugins.git.gateway.ancestry import Walk, walk_back
from plugins.git.gateway.history import Histories
from plugins.git.gateway.leading import LeadingCommits
from plugins.git.gateway.repository import GitFailed, Parents, Repository
from plugins.git.gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Judged:
    """A push with all that is known when it is judged."""

    upstream: Upstream
    updates: tuple[RefUpdate, ...]
    options: tuple[str, ...] = ()  # push options
    object_format: str = "sha1"
    objects: Repository | None = None  # what came with it; None when it was not needed
    parents: Parents = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proofs:
    """The proofs for one push, in a repository of its own."""

    histories: Histories
    objects: Repository
    max_pack_bytes: Callable[[], int]

    async def early(self, push: Judged, leading: LeadingCommits) -> Judged | None:
        """The push, if the first objects of its pack prove each moved ref to be a fast-forward.

        None says nothing of the push but that all of the pack is needed.
        """
        pack = await leading.pack(push.object_format)
        if not pack:
            return None
        try:
            await self.objects.index_pack(_once(pack), max_bytes=len(pack))
            parents = await self.objects.commits()
        except GitFailed:
            return None
        walks = await _walks(push.updates, parents)
        if not all(walk.found for walk in walks.values()):
            return None
        updates = [
            replace(update, fast_forward=True) if update in walks else update for update in push.updates
        ]
        return replace(push, updates=tuple(updates))

    async def complete(self, push: Judged, pack: AsyncIterator[bytes] | None) -> tuple[Judged, Path | None]:
        """Take the pack in, and prove for each moved ref what can be proven. Returns the pack's file too."""
        kept = (
            None if pack is None
            else await self.objects.index_pack(pack, max_bytes=self.max_pack_bytes())
        )  # fmt: skip
        parents = await self.objects.commits()
        walks = await _walks(push.updates, parents)
        updates = [
            await self._proven(push, update, walks[update]) if update in walks else update
            for update in push.updates
        ]
        return replace(push, updates=tuple(updates), objects=self.objects, parents=parents), kept

    async def _proven(self, push: Judged, update: RefUpdate, walk: Walk) -> RefUpdate:
        found = walk.found or (
            bool(walk.frontier)
            and await self.histories.descends(push.upstream, update.old, walk.frontier, push.object_format)
        )
        return replace(update, fast_forward=found)


async def _walks(updates: Sequence[RefUpdate], parents: Parents) -> dict[RefUpdate, Walk]:
    """How far back these commits lead, for each moved ref; others are served meanwhile."""
    moved = [update for update in updates if not (update.creates or update.deletes)]
    return await asyncio.to_thread(
        lambda: {update: walk_back(update.new, update.old, parents) for update in moved}
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
