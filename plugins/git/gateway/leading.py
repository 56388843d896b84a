"""The commits that lead a pack, known before the rest of it has come.

git writes commits and tags in front of everything else. What stands before the first other object becomes
a pack of its own by a new header and checksum: offsets within it stay as they are. Here only the ends of the
objects are found; what they are, git itself checks when that pack is stored.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Final

_HEADER: Final = struct.Struct(">4sII")  # gitformat-pack(5)
_COMMIT, _TAG, _OFS_DELTA = 1, 4, 6
_LEADING: Final = frozenset(
    {_COMMIT, _TAG, _OFS_DELTA}
)  # a delta on one of those before it is one of them too
_MOST_BYTES: Final = 8 << 20  # of a pack that are looked at
_MOST_INFLATED: Final = 32 << 20
_MOST_OBJECTS: Final = 20_000  # of a few bytes each there could be very many
_PIECE: Final = 1 << 12
_LONGEST_HEAD: Final = 20  # bytes of an object's header: more than any size or offset needs


class _Over(Exception):
    """There is no further leading commit, or none that will be looked for."""


class LeadingCommits:
    """Looks at the begin of a pack, and gives all of it afterwards."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._data = bytearray()
        self._position = 0
        self._inflated = 0

    async def pack(self, object_format: str) -> bytes:
        """The leading commits and tags as a pack; empty when there is none."""
        count, end = 0, 0
        try:
            for _ in range(min(await self._count(), _MOST_OBJECTS)):
                await self._pass_head()
                await self._pass_content()
                count, end = count + 1, self._position
        except _Over:
            pass
        return _pack(count, bytes(self._data[_HEADER.size : end]), object_format) if count else b""

    async def everything(self) -> AsyncIterator[bytes]:
        """The whole pack, byte for byte as it comes."""
        data, self._data = bytes(self._data), bytearray()
        if data:
            yield data
        async for chunk in self._chunks:
            yield chunk

    async def _count(self) -> int:
        while len(self._data) < _HEADER.size:
            await self._more()
        signature, version, count = _HEADER.unpack_from(self._data)
        if signature != b"PACK" or version != 2:
            raise _Over
        self._position = _HEADER.size
        return int(count)

    async def _pass_head(self) -> None:
        first = await self._byte()
        kind = (first >> 4) & 7
        if kind not in _LEADING:
            raise _Over
        if first & 0x80:
            await self._pass_number()
        if kind == _OFS_DELTA:
            await self._pass_number()

    async def _pass_number(self) -> None:
        """Both kinds of numbers end with the first byte below 0x80."""
        for _ in range(_LONGEST_HEAD):
            if await self._byte() < 0x80:
                return
        raise _Over

    async def _byte(self) -> int:
        while self._position >= len(self._data):
            await self._more()
        self._position += 1
        return self._data[self._position - 1]

    async def _pass_content(self) -> None:
        """Inflate the object's content only to see where it ends."""
        inflater = zlib.decompressobj()
        while not inflater.eof:
            if self._inflated > _MOST_INFLATED:
                raise _Over
            if not self._inflate(inflater):
                await self._more()

    def _inflate(self, inflater: zlib._Decompress) -> bool:
        """Take some of what is here. Returns whether there was anything to do."""
        piece = bytes(self._data[self._position : self._position + _PIECE])
        try:
            made = len(inflater.decompress(piece, _PIECE))
        except zlib.error:
            raise _Over from None
        taken = len(piece) - len(inflater.unconsumed_tail) - len(inflater.unused_data)
        self._position += taken
        self._inflated += made
        return bool(taken or made)

    async def _more(self) -> None:
        chunk = await anext(self._chunks, b"") if len(self._data) < _MOST_BYTES else b""
        if not chunk:
            raise _Over
        self._data += chunk


def _pack(count: int, objects: bytes, object_format: str) -> bytes:
    data = _HEADER.pack(b"PACK", 2, count) + objects
    return data + hashlib.new(object_format, data, usedforsecurity=False).digest()
