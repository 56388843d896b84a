"""A remote that turns the credential down: who tried what where is said, and never its value."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from plugins.git.gateway.http_upstream import Authorization, HttpUpstream
from plugins.git.gateway.upstream import RECEIVE_PACK, UPLOAD_PACK, Body, UpstreamError
from tests.upstream import TOKEN, free_port


async def _nothing() -> AsyncIterator[bytes]:
    yield b"0000"


async def _complaint(status: int, service: str, authorization: Authorization | None, *, post: bool) -> str:
    """What is said when a remote answers with `status`, and repeats the header that it was sent."""
    received: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        received.append(request.headers.get("Authorization", ""))
        return web.Response(status=status, reason=received[-1] or None, text=received[-1])

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with aiohttp.ClientSession() as session:
            upstream = HttpUpstream(
                session, f"http://127.0.0.1:{port}/o/r.git",
                authorize=lambda _: authorization, allowed=lambda _: True,
            )  # fmt: skip
            asked = (
                upstream.request(service, Body(_nothing()), "") if post else upstream.advertise(service, "")
            )
            with pytest.raises(UpstreamError) as caught:
                async with asked:
                    pass
    finally:
        await runner.cleanup()
    assert received == [authorization.header() if authorization else ""]
    return f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize("service", [UPLOAD_PACK, RECEIVE_PACK])
@pytest.mark.parametrize("status", [401, 403])
async def test_the_credential_and_the_host_are_named(status: int, service: str, post: bool) -> None:
    tried = Authorization("GITHUB_TOKEN", lambda: f"Basic {TOKEN}")
    said = await _complaint(status, service, tried, post=post)
    assert "127.0.0.1 did not accept GITHUB_TOKEN for http://127.0.0.1:" in said
    assert f"(HTTP {status})" in said
    assert TOKEN not in said


@pytest.mark.parametrize("status", [401, 403])
async def test_a_credential_that_is_missing_is_missed_by_name_of_the_host(status: int) -> None:
    said = await _complaint(status, UPLOAD_PACK, None, post=False)
    assert said.startswith("127.0.0.1 wants a credential for http://127.0.0.1:")
    assert "none is bound to it" in said
