"""Frames and descriptors over a real socket pair, with friendly and hostile peers."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from plugins.base.errors import ProtocolError
from plugins.base.serving.connection import Connection
from plugins.base.serving.protocol import header

Pair = tuple[Connection, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    connection = Connection(ours, max_frame=1 << 20)
    yield connection, theirs
    connection.close()
    theirs.close()


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _send_with(sock: socket.socket, data: bytes, fds: list[int]) -> None:
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


async def test_descriptors_come_with_their_own_frame(pair: Pair) -> None:
    connection, peer = pair
    reader, writer = os.pipe()
    peer.sendall(header(2) + b"{}")
    _send_with(peer, header(2) + b"[]", [writer])
    os.close(writer)
    first, second = await connection.receive(), await connection.receive()
    assert first is not None
    assert first.fds == ()
    assert second is not None
    assert not os.get_inheritable(second.fds[0])
    os.write(second.fds[0], b"x")
    assert os.read(reader, 1) == b"x"
    os.close(second.fds[0])
    os.close(reader)


async def test_a_frame_that_arrives_byte_by_byte_is_whole(pair: Pair) -> None:
    connection, peer = pair
    received = asyncio.create_task(connection.receive())
    for byte in header(5) + b'{"":0':
        peer.send(bytes([byte]))
        await asyncio.sleep(0)
    frame = await received
    assert frame is not None
    assert frame.data == b'{"":0'


async def test_large_frames_pass_both_ways_in_order(pair: Pair) -> None:
    connection, peer = pair
    other = Connection(peer)
    payloads = [bytes([number]) * 700_000 for number in range(5)]

    async def echo() -> None:
        for _ in payloads:
            frame = await other.receive()
            assert frame is not None
            await other.send(frame.data)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(echo())
        for payload in payloads:
            tasks.create_task(connection.send(payload))
        received = [await connection.receive() for _ in payloads]
    assert [frame.data for frame in received if frame] == payloads


async def test_a_clean_end_is_none_and_a_cut_one_an_error(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(header(2) + b"{}")
    peer.shutdown(socket.SHUT_WR)
    assert await connection.receive() is not None
    assert await connection.receive() is None


@pytest.mark.parametrize("data", [b"\0", b"\0\0\0", header(4) + b"{}", header(1 << 20)])
async def test_a_frame_cut_off_is_a_protocol_error(pair: Pair, data: bytes) -> None:
    connection, peer = pair
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolError, match="within a message"):
        await connection.receive()


async def test_a_huge_length_is_refused_before_anything_is_read(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(header((1 << 20) + 1))
    with pytest.raises(ProtocolError, match="larger"):
        await connection.receive()


@pytest.mark.parametrize("count", [4, 60])
async def test_too_many_descriptors_are_refused_and_closed(pair: Pair, count: int) -> None:
    connection, peer = pair
    before = _open_descriptors()
    _send_with(peer, header(2) + b"{}", [0] * count)
    with pytest.raises(ProtocolError, match="descriptors"):
        await connection.receive()
    connection.close()
    assert _open_descriptors() == before - 1


async def test_closing_wakes_a_waiting_reader(pair: Pair) -> None:
    connection, _ = pair
    received = asyncio.create_task(connection.receive())
    await asyncio.sleep(0)
    connection.close()
    with pytest.raises(ConnectionResetError):
        await received


async def test_sending_to_a_peer_that_is_gone_is_a_connection_error(pair: Pair) -> None:
    connection, peer = pair
    peer.close()
    with pytest.raises(ConnectionError):
        await connection.send(b"{}")
