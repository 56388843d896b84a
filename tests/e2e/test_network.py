"""A tool with a network by its policy: real processes, a real server with TLS, and every other way closed."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from plugins.base.control import AuditEvent
from plugins.base.policy import policy_hash
from supervisor import daemon
from supervisor.api.client import Client
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.home import Home
from supervisor.setup import prepare_home
from supervisor.status import PluginStatus
from tests.supervisor.harness import scratch
from tests.tls import certificate, web_server

TOOL, GATEWAY = "python3", "python3-gateway"
FETCH = """\
import ssl, sys, urllib.request
trust = ssl.create_default_context(cafile="localhost.pem")
print(urllib.request.urlopen(sys.argv[1], context=trust).read().decode())
"""
DIRECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
POLICY = (
    "plugin: python3\nversion: 1\n{network}rules: {{}}\napprovals: {{on_block: hold, hold_seconds: 60}}\n"
)


@dataclass
class Site:
    home: Home
    project: Path
    ports: tuple[int, int]

    def allow(self, *hosts: str) -> None:
        network = f"network: {{allow: [{', '.join(hosts)}]}}\n" if hosts else ""
        self.home.policy_file(TOOL).write_text(POLICY.format(network=network))

    def begin(self, *words: str) -> subprocess.Popen[str]:
        path = f"{self.home.cli}:/usr/bin:/bin"
        return subprocess.Popen(
            [TOOL, *words], cwd=self.project, env={"PATH": path, "PLUGIN_SOCKET_DIR": str(self.home.sockets)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def says(self, *words: str) -> str:
        with self.begin(*words) as process:
            return process.communicate(timeout=30)[0]

    def fetches(self, port: int) -> str:
        return self.says("-c", FETCH, f"https://localhost:{port}/")

    async def when(
        self, client: Client, condition: Callable[[dict[str, PluginStatus]], bool]
    ) -> dict[str, int]:
        """Process numbers, as soon as the plugins are as wanted."""
        async with asyncio.timeout(30):
            while not condition(there := {each.name: each for each in (await client.status()).plugins}):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return {name: each.pid or 0 for name, each in there.items()}

    async def works(
        self, client: Client, *names: str, before: dict[str, int] | None = None
    ) -> dict[str, int]:
        """Wait until these, and no others, enforce what the file says now; none of `before` is left."""
        text = self.home.policy_file(TOOL).read_text()
        wanted = policy_hash(text)
        return await self.when(
            client,
            lambda there: (
                there.keys() == set(names)
                and all(
                    each.state == "running" and each.policy.enforced_hash == wanted for each in there.values()
                )
                and not {each.pid for each in there.values()} & set((before or {}).values())
            ),
        )

    def connections(self) -> list[AuditEvent]:
        """What the gateway recorded."""
        rows = AuditReader(self.home.audit_db).rows(AuditFilter(), 0, 1000)
        return [
            each.event for each in rows if each.event.args[:1] == ("connect",) and each.event.layer == "wire"
        ]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("PATH", f"/usr/bin{os.pathsep}/bin")
    both = certificate(tmp_path)
    with scratch() as (home, project), ExitStack() as servers:
        ports = [servers.enter_context(web_server(both, "127.0.0.1", f"page {n}".encode())) for n in (1, 2)]
        home.config.rmdir()
        prepare_home(home)
        home.policy_file("git").unlink()
        (project / "localhost.pem").write_bytes(both.read_bytes())
        site = Site(home, project, (ports[0], ports[1]))
        site.allow()
        daemon.start_in_background(home, project)
        yield site


async def test_a_tool_reaches_what_its_policy_names_and_nothing_else(site: Site) -> None:
    first, second = site.ports
    client = await Client.connect(site.home, operator=True)
    try:
        before = await site.works(client, TOOL)
        assert "page 1" not in site.fetches(first)  # no network, no gateway

        site.allow(f"localhost:{first}")
        with_it = await site.works(client, TOOL, GATEWAY, before=before)
        assert site.fetches(first) == "page 1\n"
        refused = site.fetches(second)
        assert f"403 localhost:{second} is not among the hosts that python3 may reach" in refused
        assert "PermissionError" in site.says("-c", DIRECT, str(first))  # no port but the gateway's
        assert "cannot pass: only https does" in site.says("-c", FETCH, "http://localhost/")

        site.allow(f"localhost:{first}", f"localhost:{second}")  # another list: nothing is restarted
        assert await site.works(client, TOOL, GATEWAY) == with_it
        assert site.fetches(second) == "page 2\n"

        await _ask(site, client)

        site.allow()
        await site.works(client, TOOL, before=with_it)
        assert "page 1" not in site.fetches(first)
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
    assert "502 no-such-host.invalid cannot be looked up" in said  # let through, to a host that is not there
    wanted = {"allowed", "blocked", "held", "approved"}
    async with asyncio.timeout(30):
        while not wanted <= {str(event.verdict) for event in site.connections()}:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert all(event.command and event.plugin == TOOL for event in site.connections())
