"""Something between gateway and remote that can hold answers back, cut them off, and send elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, web


@dataclass
class Proxy:
    """Passes requests on to a port of this machine. An answer to a push waits for `answer`."""

    target: int
    port: int = 0
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    taken: asyncio.Event = field(default_factory=asyncio.Event)  # the remote has answered a push
    lose: bool = False  # the answer to a push is cut off
    down: bool = False  # nothing is answered but pushes
    redirect: str = ""  # where requests for repositories are sent instead
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.redirect:
            place = self.redirect + request.path_qs
            return web.Response(status=301, headers={"Location": place})
        if self.down and request.method == "GET":
            return web.Response(status=503)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "transfer-encoding", "content-length")
        }
        async with ClientSession(auto_decompress=False) as session:
            url = f"http://127.0.0.1:{self.target}{request.path_qs}"
            body = await request.read() if request.method == "POST" else None
            async with session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as got:
                data = await got.read()
                kept = {"Content-Type": got.headers.get("Content-Type", "text/plain")}
                if request.path.endswith("/git-receive-pack"):
                    self.taken.set()
                    await self.answer.wait()
                    if self.lose and request.transport is not None:
                        request.transport.abort()
                return web.Response(status=got.status, headers=kept, body=data)


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """A running proxy; it does not hold anything back before it is told to."""
    here = Proxy(target)
    here.answer.set()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", here.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.port = runner.addresses[0][1]
    try:
        yield here
    finally:
        here.answer.set()
        await runner.cleanup()
