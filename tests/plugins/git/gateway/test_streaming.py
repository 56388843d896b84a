"""What goes through is passed on as it comes: half of it is there before the other half was sent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from plugins.git.gateway.history import Histories
from plugins.git.gateway.pktline import encode
from plugins.git.gateway.push import Pushes
from plugins.git.gateway.server import Server
from tests.escape import packs
from tests.plugins.git.gateway.conftest import CAPABILITY, TestRemotes

_ZERO, _OLD = "0" * 40, "a" * 40
_COMMIT = packs.commit(f"parent {_OLD}".encode())
_NEW = packs.object_id(b"commit", _COMMIT)
_ADVERTISED = encode(b"# service=git-receive-pack\n") + b"0000" + encode(
    f"{_OLD} refs/heads/claude/old\0report-status side-band-64k\n".encode()
) + b"0000"  # fmt: skip
_PIECE = packs.pack(packs.entry(packs.COMMIT, _COMMIT), packs.entry(packs.BLOB, os.urandom(100_000)))


class HalfWay:
    """A remote that takes and gives in halves, each when it is told to."""

    def __init__(self) -> None:
        self.half = asyncio.Event()  # the first half of a push is here
        self.go_on = asyncio.Event()  # the second half of a fetch may come

    async def offer(self, request: web.Request) -> web.Response:
        service = request.query["service"]
        kind = f"application/x-{service}-advertisement"
        return web.Response(body=_ADVERTISED, headers={"Content-Type": kind})

    async def take(self, request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size >= len(_PIECE):
                self.half.set()
        answer = encode(b"unpack ok\n") + encode(b"ok refs/heads/claude/x\n") + b"0000"
        kind = "application/x-git-receive-pack-result"
        return web.Response(body=encode(b"\x01" + answer) + b"0000", headers={"Content-Type": kind})

    async def give(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        kind = "application/x-git-upload-pack-result"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        await response.write(_PIECE)
        await self.go_on.wait()
        await response.write(_PIECE)
        return response


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[tuple[HalfWay, str]]:
    """The remote, and its URL at a gateway in front of it."""
    half_way = HalfWay()
    app = web.Application()
    app.router.add_get("/{path:.*}/info/refs", half_way.offer)
    app.router.add_post("/{path:.*}/git-receive-pack", half_way.take)
    app.router.add_post("/{path:.*}/git-upload-pack", half_way.give)
    behind = web.AppRunner(app, access_log=None)
    await behind.setup()
    await web.TCPSite(behind, "127.0.0.1", 0).start()
    port = behind.addresses[0][1]
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        remotes = TestRemotes(session, tmp_path, port)
        pushes = Pushes(Histories(tmp_path / "histories"), tmp_path / "quarantine", lambda: 1 << 30)
        front = Server(CAPABILITY, remotes, pushes).runner()
        await front.setup()
        await web.TCPSite(front, "127.0.0.1", 0).start()
        at = front.addresses[0][1]
        yield half_way, f"http://127.0.0.1:{at}/{CAPABILITY}/-/http/127.0.0.1:{port}/git/r.git"
        await front.cleanup()
    await behind.cleanup()


@pytest.mark.parametrize(("old", "branch"), [(_ZERO, "new"), (_OLD, "old")])
async def test_a_push_streams_to_the_remote(remote: tuple[HalfWay, str], old: str, branch: str) -> None:
    """That of a new branch, and one whose first objects prove that it is a fast-forward."""
    half_way, url = remote

    async def body() -> AsyncIterator[bytes]:
        head = f"{old} {_NEW} refs/heads/claude/{branch}\0 report-status side-band-64k"
        yield encode(head.encode()) + b"0000" + _PIECE
        await half_way.half.wait()
        yield _PIECE

    async with (
        asyncio.timeout(30),
        aiohttp.ClientSession() as session,
        session.post(f"{url}/git-receive-pack", data=body()) as answer,
    ):
        assert b"ok refs/heads/claude/x" in await answer.read()


async def test_a_fetch_streams_from_the_remote(remote: tuple[HalfWay, str]) -> None:
    half_way, url = remote
    async with (
        asyncio.timeout(30),
        aiohttp.ClientSession() as session,
        session.post(f"{url}/git-upload-pack", data=b"0000") as answer,
    ):
        assert await answer.content.readexactly(len(_PIECE)) == _PIECE
        half_way.go_on.set()
        assert await answer.content.read() == _PIECE
