"""Git's pkt-line framing (gitprotocol-common(5)): four hex digits of length, then the payload.

Strict on purpose: what this reads is what is judged and what is sent on, so nothing here guesses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from typing import Final

from plugins.base.errors import ProtocolError

MAX_LINE: Final = 65520  # with its length digits
_LENGTH_DIGITS: Final = 4
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


class Special(Enum):
    """The lines without payload; the value is the line as it stands on the wire."""

    FLUSH = b"0000"
    DELIMITER = b"0001"
    RESPONSE_END = b"0002"


Line = bytes | Special


def encode(payload: bytes) -> bytes:
    """Return the payload as one line. Raises `ProtocolError` when it does not fit."""
    length = len(payload) + _LENGTH_DIGITS
    if length > MAX_LINE:
        raise ProtocolError(f"A pkt-line of {length} bytes is longer than {MAX_LINE}.")
    return b"%04x%s" % (length, payload)


def band(number: int, data: bytes) -> bytes:
    """Return the data as side-band lines: 1 is the answer, 2 progress for people, 3 a fatal error."""
    room = MAX_LINE - _LENGTH_DIGITS - 1
    pieces = (data[start : start + room] for start in range(0, len(data), room))
    return b"".join(encode(bytes([number]) + piece) for piece in pieces)


def parse_length(digits: bytes) -> int | Special:
    """Return the payload's length, or the special line. Raises `ProtocolError`."""
    if len(digits) != _LENGTH_DIGITS or not _HEX.issuperset(digits):
        raise ProtocolError(f"A pkt-line begins with {digits[:8]!r} instead of its length.")
    length = int(digits, 16)
    if length < _LENGTH_DIGITS:
        return _special(digits)
    if length > MAX_LINE:
        raise ProtocolError(f"A pkt-line of {length} bytes is longer than {MAX_LINE}.")
    return length - _LENGTH_DIGITS


def _special(digits: bytes) -> Special:
    try:
        return Special(digits)
    except ValueError:
        raise ProtocolError(f"A pkt-line has the reserved length {digits!r}.") from None


def parse(data: bytes) -> list[Line]:
    """Return all lines of the bytes. Raises `ProtocolError` when they do not end with a line."""
    lines: list[Line] = []
    position = 0
    while position < len(data):
        length = parse_length(data[position : position + _LENGTH_DIGITS])
        position += _LENGTH_DIGITS
        if isinstance(length, Special):
            lines.append(length)
            continue
        if position + length > len(data):
            raise ProtocolError("The bytes end within a pkt-line.")
        lines.append(data[position : position + length])
        position += length
    return lines


class Reader:
    """Reads lines, and then plain bytes, from a stream of chunks that end anywhere."""

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        """`read` returns the next bytes, or none at the end of the stream."""
        self._read = read
        self._buffer = bytearray()

    async def line(self) -> Line:
        """Return the next line. Raises `ProtocolError` when there is none, or half of one."""
        length = parse_length(await self._exactly(_LENGTH_DIGITS))
        return length if isinstance(length, Special) else await self._exactly(length)

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            chunk = await self._read()
            if not chunk:
                raise ProtocolError("The stream ended within a pkt-line.")
            self._buffer += chunk
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def at_end(self) -> bool:
        """Whether nothing follows."""
        if not self._buffer:
            self._buffer += await self._read()
        return not self._buffer

    async def rest(self) -> AsyncIterator[bytes]:
        """Yield what follows the lines read so far, as it comes."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            yield data
        while chunk := await self._read():
            yield chunk
