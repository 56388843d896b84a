"""A tool with a network by its policy: real processes, a real server with TLS, and every other way closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from supervisor.api.client import Client
from tests.e2e.network import Site, site_for

TOOL, GATEWAY = "python3", "python3-gateway"
FETCH = """\
import ssl, sys, urllib.request
trust = ssl.create_default_context(cafile="localhost.pem")
print(urllib.request.urlopen(sys.argv[1], context=trust).read().decode())
"""
DIRECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"


@pytest.fixture
def site() -> Iterator[Site]:
    with site_for(TOOL, b"page 1", b"page 2") as site:
        yield site


def _fetches(site: Site, port: int) -> str:
    return site.says("-c", FETCH, f"https://localhost:{port}/")


async def test_a_tool_reaches_what_its_policy_names_and_nothing_else(site: Site) -> None:
    first, second = site.ports
    client = await Client.connect(site.home, operator=True)
    try:
        before = await site.works(client, TOOL)
        assert "page 1" not in _fetches(site, first)  # no network, no gateway

        site.allow(f"localhost:{first}")
        with_it = await site.works(client, TOOL, GATEWAY, before=before)
        assert _fetches(site, first) == "page 1\n"
        refused = _fetches(site, second)
        assert f"403 localhost:{second} is not among the hosts that python3 may reach" in refused
        assert "PermissionError" in site.says("-c", DIRECT, str(first))  # no port but the gateway's
        assert "cannot pass: only https does" in site.says("-c", FETCH, "http://localhost/")

        site.allow(f"localhost:{first}", f"localhost:{second}")  # another list: nothing is restarted
        assert await site.works(client, TOOL, GATEWAY) == with_it
        assert _fetches(site, second) == "page 2\n"

        await _ask(site, client)

        site.allow()
        await site.works(client, TOOL, before=with_it)
        assert "page 1" not in _fetches(site, first)
    finally:
        await client.close()


async def _ask(site: Site, client: Client) -> None:
    """What waits for the operator goes on at a yes."""
    process = site.begin("-c", FETCH, "https://no-such-host.invalid/")
    async with asyncio.timeout(30):
        while not (open_ := [each for each in await client.requests() if each.state == "open"]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert open_[0].args == ("connect", "no-such-host.invalid:443")
    assert open_[0].plugin == TOOL
    await client.approve(open_[0].id)
    said, _ = await asyncio.to_thread(process.communicate, timeout=30)
    assert f"python3: waiting for the operator, request {open_[0].id} (up to 60 s)\n" in said
    assert (
        "error: no-such-host.invalid cannot be looked up" in said
    )  # let through, to a host that is not there
    assert "502 no-such-host.invalid cannot be looked up" in said
    wanted = {"allowed", "blocked", "held", "approved"}
    async with asyncio.timeout(30):
        while not wanted <= {str(event.verdict) for event in site.connections()}:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert all(event.command and event.plugin == TOOL for event in site.connections())
