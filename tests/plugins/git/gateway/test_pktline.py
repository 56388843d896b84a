"""pkt-lines, read strictly and however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.errors import ProtocolError
from plugins.git.gateway.pktline import MAX_LINE, Line, Reader, Special, band, encode, parse

_lines = st.lists(st.binary(max_size=40) | st.sampled_from(Special), max_size=8)


def _wire(lines: list[Line]) -> bytes:
    return b"".join(line.value if isinstance(line, Special) else encode(line) for line in lines)


def _reader(data: bytes, piece: int) -> Reader:
    pieces = iter([data[start : start + piece] for start in range(0, len(data), piece)])

    async def read() -> bytes:
        return next(pieces, b"")

    return Reader(read)


@given(_lines)
def test_lines_are_read_as_they_were_written(lines: list[Line]) -> None:
    assert parse(_wire(lines)) == lines


@pytest.mark.parametrize("piece", [1, 3, 4, 7, 1000])
async def test_a_stream_may_be_cut_anywhere(piece: int) -> None:
    lines: list[Line] = [b"one", Special.FLUSH, b"", Special.DELIMITER, b"x" * 300]
    reader = _reader(_wire(lines) + b"the pack", piece)
    assert [await reader.line() for _ in lines] == lines
    assert b"".join([chunk async for chunk in reader.rest()]) == b"the pack"
    assert await reader.at_end()


@pytest.mark.parametrize(
    "data", [b"0003", b"00", b"zzzz", b"0005", b"+004", b" 04x", b"0x04", b"fff1" + b"x" * 65517, b"-001"]
)
async def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(data)
    with pytest.raises(ProtocolError):
        await _reader(data, 2).line()


def test_the_longest_line_fits_and_one_more_byte_does_not() -> None:
    assert len(encode(b"x" * (MAX_LINE - 4))) == MAX_LINE
    with pytest.raises(ProtocolError):
        encode(b"x" * (MAX_LINE - 3))


def test_a_long_message_is_split_into_bands() -> None:
    data = bytes(range(256)) * 1000
    lines = parse(band(2, data))
    assert len(lines) > 1
    assert b"".join(line[1:] for line in lines if isinstance(line, bytes)) == data
