"""Refs of the remote that are names of other refs: a push to one would move the other.

receive-pack follows symbolic refs and does not tell of them; `ls-refs` of v2 does (gitprotocol-v2(5)).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from plugins.git.gateway.history import after_banner, reader_of
from plugins.git.gateway.pktline import Special, encode
from plugins.git.gateway.upstream import UPLOAD_PACK, Body, Upstream

_V2: Final = "version=2"
_SYMREF: Final = "symref-target:"
_MOST_PREFIXES: Final = 1000  # beyond that all refs are asked for


async def symbolic(upstream: Upstream, refs: Sequence[str], object_format: str) -> dict[str, str]:
    """Which of the refs are symbolic, and what they stand for. Raises `UpstreamError`.

    A remote that does not speak v2 does not tell.
    """
    if not refs or not await _speaks_v2(upstream):
        return {}
    data = _request(refs, object_format)
    found: dict[str, str] = {}
    wanted = frozenset(refs)
    async with upstream.request(UPLOAD_PACK, Body(_once(data), len(data)), _V2) as chunks:
        reader = reader_of(chunks)
        while (line := await reader.line()) is not Special.FLUSH:
            if isinstance(line, bytes):
                _, name, *more = line.decode("utf-8", "replace").rstrip("\n").split(" ")
                target = next((word.removeprefix(_SYMREF) for word in more if word.startswith(_SYMREF)), "")
                if target and name in wanted:
                    found[name] = target
    return found


async def _speaks_v2(upstream: Upstream) -> bool:
    async with upstream.advertise(UPLOAD_PACK, _V2) as chunks:
        return await after_banner(reader_of(chunks)) == b"version 2\n"


def _request(refs: Sequence[str], object_format: str) -> bytes:
    prefixes = refs if len(refs) <= _MOST_PREFIXES else ()
    head = [f"object-format={object_format}\n"] if object_format != "sha1" else []
    return b"".join(
        [
            encode(b"command=ls-refs\n"),
            *(encode(line.encode()) for line in head),
            Special.DELIMITER.value,
            encode(b"symrefs\n"),
            *(encode(f"ref-prefix {ref}\n".encode()) for ref in prefixes),
            Special.FLUSH.value,
        ]
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
