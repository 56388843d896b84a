"""Redirects: followed to where policy allows, with the credential that belongs there and no other."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from plugins.base.errors import Denied
from plugins.git.gateway.http_upstream import Authorization, HttpUpstream
from plugins.git.gateway.push import advertised
from plugins.git.gateway.symrefs import symbolic
from plugins.git.gateway.upstream import UPLOAD_PACK
from tests.plugins.git.gateway.process import gateway_process
from tests.plugins.git.gateway.proxy import Proxy, proxy
from tests.upstream import TOKEN, USER, SmartHttp, native

_NAME = "private/r.git"


@pytest.fixture
def remote(upstream: SmartHttp, tmp_path: Path) -> SmartHttp:
    where = str(tmp_path / "w")
    native("init", "--quiet", "--initial-branch=main", where)
    native("-C", where, "commit", "--quiet", "--allow-empty", "-m", "one")
    native("-C", where, "push", "--quiet", str(upstream.create(_NAME)), "main")
    return upstream


@pytest.fixture
async def door(remote: SmartHttp) -> AsyncIterator[Proxy]:
    """A server that sends everybody on to the remote."""
    async with proxy(remote.port) as between:
        between.redirect = f"http://127.0.0.1:{remote.port}"
        yield between


@asynccontextmanager
async def _upstream(door: Proxy, *, allowed: str) -> AsyncIterator[HttpUpstream]:
    """The repository by the door's address; the credential is bound to the remote's own."""

    def authorize(url: str) -> Authorization | None:
        basic = "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        return None if f":{door.port}/" in url else Authorization("GITHUB_TOKEN", lambda: basic)

    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield HttpUpstream(
            session, f"http://127.0.0.1:{door.port}/git/{_NAME}", authorize=authorize,
            allowed=lambda url: allowed in url, moved={},
        )  # fmt: skip


async def test_an_allowed_redirect_is_followed(door: Proxy, remote: SmartHttp) -> None:
    async with _upstream(door, allowed=f":{remote.port}/") as upstream:
        assert "refs/heads/main" in (await advertised(upstream)).refs
        assert upstream.url == remote.url(_NAME)


async def test_a_redirect_to_elsewhere_is_not_followed(door: Proxy, remote: SmartHttp) -> None:
    async with _upstream(door, allowed="elsewhere") as upstream:
        with pytest.raises(Denied, match="do not allow"):
            await advertised(upstream)
    assert remote.log() == ""


@pytest.mark.parametrize(
    "place",
    ["https://127.0.0.1:1@evil.example", "ftp://127.0.0.1", "file://", "http://x:y@127.0.0.1", "//[", ""],
)
async def test_a_redirect_that_is_no_repository_is_not_followed(door: Proxy, place: str) -> None:
    door.redirect = place or "javascript:"
    async with _upstream(door, allowed="") as upstream:
        with pytest.raises(Denied):
            await advertised(upstream)


async def test_endless_redirects_end(door: Proxy) -> None:
    door.redirect = f"http://127.0.0.1:{door.port}"
    async with _upstream(door, allowed="") as upstream:
        with pytest.raises(Denied, match="too often"):
            await advertised(upstream)
    assert len(door.asked) < 10


async def test_the_door_is_never_told_the_credential(remote: SmartHttp, door: Proxy, tmp_path: Path) -> None:
    """git asks for the old name with every request; those that carry data go where the first one was sent."""
    origin = f"http://127.0.0.1:{door.port}/git/{_NAME}"
    with gateway_process(tmp_path / "g", origin) as gateway:
        policy = gateway.state / "policy.yaml"
        gateway.end()
        text = policy.read_text().replace("fetch: [origin]", f"fetch: [origin, {remote.url(_NAME)}]")
        policy.write_text(text.replace("push: [origin]", f"push: [origin, {remote.url(_NAME)}]"))
        gateway.start()
        done = await gateway.git(tmp_path, "clone", "--quiet", gateway.url, "clone")
        assert done.returncode == 0, done.stderr
        native("-C", str(tmp_path / "clone"), "commit", "--quiet", "--allow-empty", "-m", "two")
        done = await gateway.git(tmp_path / "clone", "push", "origin", "HEAD:claude/x")
        assert done.returncode == 0, done.stderr
    assert "refs/heads/claude/x" in remote.refs(_NAME)
    assert all(asked.startswith("GET") for asked in door.asked)


async def test_another_name_of_a_ref_is_known(remote: SmartHttp, door: Proxy) -> None:
    native("-C", str(remote.path(_NAME)), "symbolic-ref", "refs/heads/claude/alias", "refs/heads/main")
    async with _upstream(door, allowed="") as upstream:
        refs = ["refs/heads/claude/alias", "refs/heads/main"]
        assert await symbolic(upstream, refs, "sha1") == {"refs/heads/claude/alias": "refs/heads/main"}
        assert await symbolic(upstream, [], "sha1") == {}
        async with upstream.advertise(UPLOAD_PACK, "version=2") as chunks:
            assert b"version 2" in b"".join([chunk async for chunk in chunks])
