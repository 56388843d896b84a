"""A supervisor of its own with one tool, whose network its policy makes, and servers with TLS to reach."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from plugins.base.control import AuditEvent
from plugins.base.doors import gateway_name
from plugins.base.policy import policy_hash
from supervisor import daemon
from supervisor.api.client import Client
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.home import Home
from supervisor.setup import prepare_home
from supervisor.status import PluginStatus
from tests.supervisor.harness import scratch
from tests.tls import certificate, web_server

_POLICY: Final = """\
plugin: {tool}
version: 1
{network}rules: {{}}
approvals: {{on_block: {on_block}, hold_seconds: 60}}
"""


@dataclass
class Site:
    home: Home
    project: Path
    ports: tuple[int, ...]
    tool: str

    @property
    def gateway(self) -> str:
        return gateway_name(self.tool)

    def allow(self, *hosts: str, on_block: str = "hold") -> None:
        network = f"network: {{allow: [{', '.join(hosts)}]}}\n" if hosts else ""
        self.home.policy_file(self.tool).write_text(
            _POLICY.format(tool=self.tool, network=network, on_block=on_block)
        )

    def begin(self, *words: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": f"{self.home.cli}:/usr/bin:/bin", "PLUGIN_SOCKET_DIR": str(self.home.sockets)
        }  # fmt: skip
        return subprocess.Popen(
            [self.tool, *words], cwd=self.project, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def says(self, *words: str) -> str:
        with self.begin(*words) as process:
            return process.communicate(timeout=30)[0]

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
        text = self.home.policy_file(self.tool).read_text()
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

    def wait(self, *names: str) -> None:
        """The same, of the tools with these names; their gateways included."""

        def work(there: dict[str, PluginStatus]) -> bool:
            running = {
                name: each.policy.enforced_hash for name, each in there.items() if each.state == "running"
            }
            return running == wanted

        async def wait() -> None:
            client = await Client.connect(self.home, operator=True)
            try:
                await self.when(client, work)
            finally:
                await client.close()

        wanted = {
            plugin: policy_hash(self.home.policy_file(name).read_text())
            for name in names
            for plugin in (name, gateway_name(name))
        }
        asyncio.run(wait())

    def connections(self) -> list[AuditEvent]:
        """What the gateway recorded."""
        rows = AuditReader(self.home.audit_db).rows(AuditFilter(), 0, 1000)
        return [
            each.event for each in rows if each.event.args[:1] == ("connect",) and each.event.layer == "wire"
        ]


@contextmanager
def site_for(tool: str, *pages: bytes) -> Iterator[Site]:
    """A supervisor with this tool, and a server with TLS for each of the pages; nothing is allowed yet."""
    with scratch() as (home, project), pytest.MonkeyPatch.context() as patch, ExitStack() as servers:
        patch.setenv("PATH", f"/usr/bin{os.pathsep}/bin")  # no shims, which lead outside of the toolchain
        both = certificate(home.root)
        ports = tuple(servers.enter_context(web_server(both, "127.0.0.1", page)) for page in pages)
        home.config.rmdir()
        prepare_home(home)
        home.policy_file("git").unlink()
        shutil.copy(both.with_name("cert"), project / "localhost.pem")
        site = Site(home, project, ports, tool)
        site.allow()
        daemon.start_in_background(home, project)
        yield site
