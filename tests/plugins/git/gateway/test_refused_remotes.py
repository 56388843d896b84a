"""A remote that may not be used is refused at the gateway, and written down."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.plugins.git.gateway.process import CAPABILITY, GatewayProcess, gateway_process
from tests.plugins.git.gateway.proxy import proxy
from tests.upstream import SmartHttp, native

_COMMAND = "c" * 32


@pytest.mark.parametrize("verb", ["fetch", "push"])
async def test_a_refused_remote_is_recorded(tmp_path: Path, upstream: SmartHttp, verb: str) -> None:
    where = tmp_path / "workspace"
    native("init", "--quiet", str(where))
    native("-C", str(where), "commit", "--quiet", "--allow-empty", "-m", "one")
    upstream.create("private/r.git")
    upstream.create("private/other.git")
    with gateway_process(tmp_path / "g", upstream.url("private/r.git")) as gateway:
        allowed = await gateway.git(where, "ls-remote", gateway.url)
        assert allowed.returncode == 0, allowed.stderr
        assert gateway.said("not allowed") == []
        other = gateway.url.replace("/r.git", "/other.git").replace("/-/", f"/{_COMMAND}/")
        done = await gateway.git(where, verb, other, "HEAD:refs/heads/claude/x")
        assert "is not allowed by the policy" in done.stderr
        event = await gateway.until_said("is not allowed by the policy")
    assert (event["layer"], event["verdict"], event["rule"]) == ("wire", "blocked", "remotes")
    assert event["args"] == [verb, upstream.url("private/other.git")]
    assert event["command"] == _COMMAND


async def test_what_is_no_remote_is_recorded_too(tmp_path: Path, upstream: SmartHttp) -> None:
    with gateway_process(tmp_path / "g", upstream.url("private/r.git")) as gateway:
        url = gateway.url.replace("/-/http/", f"/{_COMMAND}/ftp/")
        done = await gateway.git(tmp_path, "ls-remote", url)
        assert "not a remote that can be used" in done.stderr
        await _connect(gateway, f"{_COMMAND} git-receive-pack file a\x1bb\n")
        events = gateway.said("not a remote that can be used")
    assert [event["args"][0] for event in events] == ["fetch", "push"]
    for event in events:
        assert (event["verdict"], event["rule"], event["command"]) == ("blocked", "remotes", _COMMAND)


async def _connect(gateway: GatewayProcess, head: str) -> None:
    """By the other door; until it answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.stream_port)
    writer.write(f"{CAPABILITY} {head}".encode())
    assert b"ERR" in await reader.read()
    writer.close()


async def test_a_refused_redirect_is_recorded(tmp_path: Path, upstream: SmartHttp) -> None:
    async with proxy(upstream.port) as door:
        door.redirect = f"http://127.0.0.1:{upstream.port}"
        with gateway_process(tmp_path / "g", f"http://127.0.0.1:{door.port}/git/r.git") as gateway:
            done = await gateway.git(tmp_path, "ls-remote", gateway.url)
            assert "do not allow" in done.stderr
            event = await gateway.until_said("do not allow")
    assert (event["verdict"], event["rule"]) == ("blocked", "remotes")


async def test_a_push_that_cannot_be_read_is_recorded(tmp_path: Path, upstream: SmartHttp) -> None:
    upstream.create("private/r.git")
    with gateway_process(tmp_path / "g", upstream.url("private/r.git")) as gateway:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{gateway.url}/git-receive-pack", data=b"0008nope0000") as answer,
        ):
            assert b"ERR" in await answer.read()
        event = await gateway.until_said("A push command must be")
    assert (event["verdict"], event["rule"], event["args"][0]) == ("blocked", "internal", "push")
