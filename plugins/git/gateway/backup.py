"""What an approved rewrite or deletion takes away is kept here first, and can be put back.

The commits that only the old value reaches are fetched into a repository of the gateway's own, under
`refs/backup/REQUEST/N`; a note beside it says which ref of which remote they were.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from plugins.base.errors import ClaudeContainerError, Denied
from plugins.base.model import RefUpdate
from plugins.git.gateway.history import Wish, fetch
from plugins.git.gateway.proofs import Judged
from plugins.git.gateway.push import advertised, forward
from plugins.git.gateway.receive_pack import Advertisement, PushCommands
from plugins.git.gateway.repository import Repository
from plugins.git.gateway.upstream import Upstream

_MOST_BYTES: Final = 4 << 30
_CAPABILITIES: Final = ("report-status", "atomic", "delete-refs")


@dataclass(frozen=True, slots=True)
class Saved:
    """One ref as it was before an approved push."""

    remote: str  # the URL, as the gateway names it
    ref: str
    old: str
    new: str
    object_format: str


class Backups:
    """The backups of one gateway."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._locks: dict[str, asyncio.Lock] = {}  # pushes of one remote that are approved at once take turns

    async def save(self, request: str, push: Judged) -> None:
        """Keep what the push would take away. Raises `Denied` when it cannot be kept: then do not push."""
        losing = [update for update in push.updates if update.deletes or update.rewrites]
        if not losing:
            return
        async with self._locks.setdefault(push.upstream.url, asyncio.Lock()):
            await self._keep(request, push, losing)

    async def _keep(self, request: str, push: Judged, losing: Sequence[RefUpdate]) -> None:
        objects = await self._repository(push.upstream.url, push.object_format)
        known = (await objects.git("for-each-ref", "--format=%(objectname)", "refs/backup")).decode().split()
        wish = Wish(sorted({update.old for update in losing}), known)
        await objects.index_pack(fetch(push.upstream, wish, push.object_format), max_bytes=_MOST_BYTES)
        await objects.git("update-ref", "--stdin", stdin=_backup_refs(request, losing))
        self._write_note(request, push, losing)

    def _write_note(self, request: str, push: Judged, losing: Sequence[RefUpdate]) -> None:
        remote, object_format = push.upstream.url, push.object_format
        saved = [Saved(remote, each.ref, each.old, each.new, object_format) for each in losing]
        note = self._note(request)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps([asdict(each) for each in saved]), encoding="utf-8")

    def find(self, request: str) -> tuple[Saved, ...]:
        """What was saved for a request. Raises `ClaudeContainerError` when nothing was."""
        try:
            notes = json.loads(self._note(request).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ClaudeContainerError(
                f"Nothing was overwritten or deleted by request {request!r}, so there is nothing to undo.",
                hint="See: claude-container approvals list --all",
            ) from None
        return tuple(Saved(**note) for note in notes)

    async def restore(self, request: str, upstream: Upstream) -> tuple[str, ...]:
        """Put the saved refs back. Returns their names. Raises `Denied` when the remote has moved on."""
        saved = self.find(request)
        now = await advertised(upstream)
        current = {each: now.refs.get(each.ref, now.null_id) for each in saved}
        for each, value in current.items():
            if value not in (each.new, each.old):
                raise Denied(f"{each.ref} was changed again since; undoing would lose that.")
        updates = tuple(
            RefUpdate(each.ref, value, each.old) for each, value in current.items() if value != each.old
        )
        if updates:
            objects = await self._repository(saved[0].remote, saved[0].object_format)
            pack = await _pack(objects, [update.new for update in updates], sorted(set(now.refs.values())))
            await _put_back(upstream, PushCommands(updates, _supported(now)), pack)
        return tuple(each.ref for each in saved)

    async def _repository(self, remote: str, object_format: str) -> Repository:
        name = hashlib.sha256(f"{object_format} {remote}".encode()).hexdigest()[:32]
        repository = Repository(self._directory / f"{name}.git", home=self._directory)
        await repository.create(object_format)
        return repository

    def _note(self, request: str) -> Path:
        if not request.isalnum():
            raise ClaudeContainerError(f"{request!r} is not the id of a request.")
        return self._directory / "notes" / f"{request}.json"


def _backup_refs(request: str, losing: Sequence[RefUpdate]) -> bytes:
    lines = [f"update refs/backup/{request}/{number} {update.old}\n" for number, update in enumerate(losing)]
    return "".join(lines).encode()


async def _pack(objects: Repository, wanted: Sequence[str], there: Sequence[str]) -> bytes:
    """A pack of what the remote may lack: the saved objects without what its refs reach."""
    known = [oid for oid in there if await objects.has(oid)]
    revisions = "".join([*(f"{oid}\n" for oid in wanted), "--not\n", *(f"{oid}\n" for oid in known)])
    return await objects.git("pack-objects", "--revs", "--stdout", "--quiet", stdin=revisions.encode())


def _supported(now: Advertisement) -> dict[str, str]:
    return {name: "" for name in _CAPABILITIES if name in now.capabilities}


async def _put_back(upstream: Upstream, commands: PushCommands, pack: bytes) -> None:
    if not await forward(upstream, commands, _once(pack), len(pack), _ignore):
        raise Denied(f"{upstream.url} did not take the old value back.")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _ignore(_: bytes) -> None:
    return
