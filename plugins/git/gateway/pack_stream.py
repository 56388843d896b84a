"""Bodies of requests as they come: limits on their size and on silence, and gzip taken off."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress

from plugins.base.errors import Denied, ProtocolError

Read = Callable[[], Awaitable[bytes]]
_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1 << 20
_DRAIN_WITHIN = 60.0  # seconds
_SILENCE = 1.0


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


def impatient(read: Read, seconds: float) -> Read:
    """Read, waiting at most so long for each piece. Raises `Denied` beyond."""

    async def timed() -> bytes:
        try:
            async with asyncio.timeout(seconds):
                return await read()
        except TimeoutError:
            raise Denied(f"Nothing came for {seconds:g} seconds, so the push was given up.") from None

    return timed


async def drain(read: Read) -> None:
    """Read what nobody wants, for a while: whoever sends it only then looks at the answer.

    Where the end cannot be seen, silence is the end.
    """
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_DRAIN_WITHIN):
            while await asyncio.wait_for(read(), _SILENCE):
                pass


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
