"""Objects fetched from the remote for judging: commits for ancestry, one tree for showing a diff.

Spoken by hand over protocol v2 (gitprotocol-v2(5)), so that no git with a network, and none with a
credential, has to run.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plugins.base.errors import Denied, ProtocolError
from plugins.git.gateway.pktline import Line, Reader, Special, encode
from plugins.git.gateway.repository import Repository
from plugins.git.gateway.upstream import UPLOAD_PACK, Body, Upstream, UpstreamError

_V2: Final = "version=2"
_MAX_HAVES: Final = 256
_MAX_HISTORY: Final = 4 << 30  # bytes; commits alone are a few hundred bytes each


@dataclass(frozen=True, slots=True)
class Wish:
    """What to fetch: the wanted objects, those already here, and how much with them."""

    wants: Sequence[str]
    haves: Sequence[str] = ()
    commits_only: bool = False
    depth: int = 0  # 0: all of the history


async def fetch(upstream: Upstream, wish: Wish, object_format: str) -> AsyncIterator[bytes]:
    """Yield the pack that the remote sends. Raises `UpstreamError` when it cannot or will not."""
    features = await _fetch_features(upstream)
    request = _request(wish, object_format, with_filter=wish.commits_only and "filter" in features)
    body = Body(_once(request), len(request))
    async with upstream.request(UPLOAD_PACK, body, _V2) as chunks:
        reader = reader_of(chunks)
        await _skip_to_pack(reader)
        async for data in _unwrap(reader):
            yield data


async def _fetch_features(upstream: Upstream) -> frozenset[str]:
    """What the remote's `fetch` command can do. Raises `UpstreamError` when it does not speak v2."""
    async with upstream.advertise(UPLOAD_PACK, _V2) as chunks:
        reader = reader_of(chunks)
        line = await after_banner(reader)
        if line != b"version 2\n":
            raise UpstreamError(f"{upstream.url} does not speak version 2 of git's protocol.")
        while (line := await reader.line()) is not Special.FLUSH:
            if isinstance(line, bytes) and line.startswith(b"fetch"):
                return frozenset(line.decode("utf-8", "replace").partition("=")[2].split())
    return frozenset()


async def after_banner(reader: Reader) -> Line:
    """The first line behind the banner that HTTP servers put before an advertisement."""
    line = await reader.line()
    if isinstance(line, bytes) and line.startswith(b"# service="):
        await reader.line()
        line = await reader.line()
    return line


def _request(wish: Wish, object_format: str, *, with_filter: bool) -> bytes:
    lines = ["ofs-delta", "no-progress"]
    lines += [f"deepen {wish.depth}"] if wish.depth else []
    lines += ["filter tree:0"] if with_filter else []
    lines += [f"want {oid}" for oid in wish.wants]
    lines += [f"have {oid}" for oid in wish.haves[:_MAX_HAVES]]
    head = [f"object-format={object_format}\n"] if object_format != "sha1" else []
    return b"".join(
        [
            encode(b"command=fetch\n"),
            *(encode(line.encode()) for line in head),
            Special.DELIMITER.value,
            *(encode(f"{line}\n".encode()) for line in [*lines, "done"]),
            Special.FLUSH.value,
        ]
    )


async def _skip_to_pack(reader: Reader) -> None:
    while True:
        line = await reader.line()
        if isinstance(line, bytes) and line.startswith(b"ERR "):
            raise UpstreamError(f"The remote says: {line[4:].decode('utf-8', 'replace').strip()}")
        if line == b"packfile\n":
            return
        if line is Special.FLUSH:
            raise UpstreamError("The remote sent no pack.")


async def _unwrap(reader: Reader) -> AsyncIterator[bytes]:
    """The pack's bytes out of the side-band."""
    while (line := await reader.line()) is not Special.FLUSH:
        if isinstance(line, Special) or not line:
            raise ProtocolError("The remote's pack is not wrapped as it should be.")
        if line[0] == 3:
            raise UpstreamError(f"The remote says: {line[1:].decode('utf-8', 'replace').strip()}")
        if line[0] == 1:
            yield line[1:]


def reader_of(chunks: AsyncIterator[bytes]) -> Reader:
    """A pkt-line reader on a stream of chunks."""

    async def read() -> bytes:
        return await anext(chunks, b"")

    return Reader(read)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


class Histories:
    """The commits of each remote, kept between pushes so that only new ones are fetched."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._locks: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def of(self, upstream: Upstream, object_format: str) -> AsyncIterator[Repository]:
        """The commits known of a remote, for one user at a time."""
        name = hashlib.sha256(f"{object_format} {upstream.url}".encode()).hexdigest()[:32]
        async with self._locks.setdefault(name, asyncio.Lock()):
            repository = Repository(self._directory / f"{name}.git", home=self._directory)
            await repository.create(object_format)
            yield repository

    async def descends(
        self, upstream: Upstream, ancestor: str, descendants: Iterable[str], object_format: str
    ) -> bool:
        """Whether the remote's own history leads from any of the descendants back to the ancestor.

        False as well when the remote does not have them or cannot be asked: not proven is not so.
        """
        wanted = sorted(descendants)
        try:
            await self.learn(upstream, wanted, object_format)
        except Denied:
            return False
        async with self.of(upstream, object_format) as known:
            return any([await known.is_ancestor(ancestor, oid) for oid in wanted])

    async def learn(self, upstream: Upstream, wanted: Sequence[str], object_format: str) -> None:
        """Fetch these commits and their history, as far as they are not known. Raises `Denied`."""
        async with self.of(upstream, object_format) as known:
            missing = [oid for oid in wanted if not await known.has(oid)]
            if missing:
                await self._extend(known, upstream, missing, object_format)

    async def _extend(
        self, known: Repository, upstream: Upstream, wants: Sequence[str], object_format: str
    ) -> None:
        haves = (await known.git("for-each-ref", "--format=%(objectname)", "refs/known")).decode().split()
        wish = Wish(wants, haves, commits_only=True)
        await known.index_pack(fetch(upstream, wish, object_format), max_bytes=_MAX_HISTORY)
        updates = "".join(f"update refs/known/{oid} {oid}\n" for oid in wants)
        await known.git("update-ref", "--stdin", stdin=updates.encode())
