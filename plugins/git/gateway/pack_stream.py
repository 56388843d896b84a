"""Bodies of requests as they come: a limit on their size, and gzip taken off."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable

from plugins.base.errors import Denied, ProtocolError

Read = Callable[[], Awaitable[bytes]]
_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1 << 20


def limited(read: Read, limit: int) -> Read:
    """Read at most `limit` bytes. Raises `Denied` beyond."""
    total = 0

    async def bounded() -> bytes:
        nonlocal total
        chunk = await read()
        total += len(chunk)
        if total > limit:
            raise Denied(
                f"The request is larger than {limit >> 20} MiB.",
                hint="Push in smaller steps, or ask the operator to raise limits.max_pack_bytes.",
            )
        return chunk

    return bounded


def gunzipped(read: Read) -> Read:
    """Take gzip off, a piece at a time, so that a small body cannot become a huge one in memory."""
    decompressor = zlib.decompressobj(_GZIP)
    pending = b""

    async def plain() -> bytes:
        nonlocal pending
        while not decompressor.eof:
            source = pending or await read()
            if not source:
                raise ProtocolError("The gzip stream of a request ends too early.")
            data, pending = _step(source)
            if data:
                return data
        return b""

    def _step(source: bytes) -> tuple[bytes, bytes]:
        try:
            data = decompressor.decompress(source, _PIECE)
        except zlib.error:
            raise ProtocolError("A request is not valid gzip.") from None
        return data, decompressor.unconsumed_tail

    return plain
