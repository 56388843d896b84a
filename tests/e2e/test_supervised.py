"""The main path, all of it real: client, plugin, worker, supervisor, git."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from plugins.base.policy import policy_hash
from supervisor import daemon
from supervisor.api.client import Client
from supervisor.audit.reader import AuditFilter, AuditReader, AuditRow
from supervisor.home import Home
from supervisor.setup import prepare_home
from supervisor.status import PluginStatus, Request, Status
from tests.supervisor.harness import scratch

T = TypeVar("T")
NATIVE = {
    **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.invalid",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.invalid",
}  # fmt: skip


@dataclass
class Site:
    """An installation with a project whose origin is a bare repository beside it."""

    home: Home
    project: Path
    upstream: Path

    def agent(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the agent: its PATH begins with the wrappers."""
        return subprocess.run(
            command, cwd=self.project, env={**self._environment(), **more},
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def agent_begins(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=self.project, env=self._environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        path = f"{self.home.cli}{os.pathsep}{os.environ['PATH']}"
        return {**NATIVE, "PATH": path, "PLUGIN_SOCKET_DIR": str(self.home.sockets)}

    def native(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.project, env=NATIVE, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def upstream_ref(self, ref: str) -> str:
        return self.native("-C", str(self.upstream), "for-each-ref", "--format=%(objectname)", ref)

    def ask(self, question: Callable[[Client], Awaitable[T]], *, operator: bool = False) -> T:
        async def conversation() -> T:
            client = await Client.connect(self.home, operator=operator)
            try:
                return await question(client)
            finally:
                await client.close()

        return asyncio.run(conversation())

    def status(self) -> Status:
        return self.ask(lambda client: client.status())

    def rows(self, **wanted: str) -> list[AuditRow]:
        return AuditReader(self.home.audit_db).rows(AuditFilter(**wanted), 0, 1000)  # type: ignore[arg-type]

    def rows_when(self, condition: Callable[[list[AuditRow]], bool], **wanted: str) -> list[AuditRow]:
        """The audit rows, as soon as they fulfil the condition."""

        async def look(client: Client) -> list[AuditRow]:
            async with asyncio.timeout(20):
                async for _ in client.notifications():
                    if condition(rows := self.rows(**wanted)):
                        return rows
            raise AssertionError("the supervisor went away")

        return self.ask(look)


@pytest.fixture
def site() -> Iterator[Site]:
    with scratch() as (home, project):
        upstream = project.with_name("upstream.git")
        site = Site(home, project, upstream)
        home.config.rmdir()
        prepare_home(home)
        site.native("init", "-q", "-b", "main")
        site.native("init", "-q", "--bare", "-b", "main", str(upstream))
        site.native("commit", "-q", "--allow-empty", "-m", "first")
        site.native("remote", "add", "origin", str(upstream))
        site.native("push", "-q", "origin", "main")
        daemon.start_in_background(home, project)
        yield site


def test_an_agents_day(site: Site) -> None:
    assert site.agent("git", "rev-parse", "HEAD").stdout.strip() == site.native("rev-parse", "HEAD")
    assert site.agent("git", "switch", "-q", "-c", "claude/topic").returncode == 0
    (site.project / "file").write_text("new\n")
    assert site.agent("git", "add", "file").returncode == 0
    assert site.agent("git", "commit", "-q", "-m", "second").returncode == 0
    pushed = site.agent("git", "push", "-q", "origin", "claude/topic")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    assert site.upstream_ref("refs/heads/claude/topic") == site.native("rev-parse", "HEAD")
    before = site.upstream_ref("refs/heads/main")
    refused = site.agent("git", "push", "origin", "HEAD:main")
    assert refused.returncode == 1
    assert "! [remote rejected]" in refused.stderr
    assert "blocked_branches" in refused.stderr
    assert site.upstream_ref("refs/heads/main") == before
    rows = site.rows_when(lambda rows: any(row.event.request for row in rows), text="protected branch")
    assert rows[-1].event.rule == "blocked_branches"
    status = site.status()
    assert (status.requests_open, status.origin) == (1, str(site.upstream))


def test_an_operator_lets_a_waiting_push_through_once(site: Site) -> None:
    site.native("commit", "-q", "--allow-empty", "-m", "second")

    async def one_waiting(client: Client) -> Request:
        async with asyncio.timeout(20):
            async for _ in client.notifications():
                for request in await client.requests():
                    if request.waiting:
                        return request
        raise AssertionError("the supervisor went away")

    async def let_through(client: Client) -> tuple[Request, int]:
        push = site.agent_begins("git", "push", "-q", "origin", "main")
        request = await one_waiting(client)
        await client.approve(request.id)
        return request, await asyncio.to_thread(push.wait, 30) or len(push.communicate()[0])

    request, code = site.ask(let_through, operator=True)
    assert code == 0
    assert [update.ref for update in request.updates] == ["refs/heads/main"]
    assert site.upstream_ref("refs/heads/main") == site.native("rev-parse", "HEAD")
    site.native("commit", "-q", "--allow-empty", "-m", "third")
    assert site.agent("git", "push", "-q", "origin", "main").returncode == 1


def test_a_policy_that_comes_to_allow_it_lets_all_through_that_wait(site: Site) -> None:
    site.native("commit", "-q", "--allow-empty", "-m", "second")
    file = site.home.policy_file("git")

    async def waiting(client: Client) -> int:
        return sum(request.waiting for request in await client.requests())

    async def allow(client: Client) -> list[int]:
        pushes = [site.agent_begins("git", "push", "-q", "origin", f"HEAD:topic/{name}") for name in "ab"]
        async with asyncio.timeout(20):
            async for _ in client.notifications():
                if await waiting(client) == len(pushes):
                    break
        file.write_text(file.read_text().replace("claude/*", "topic/*, claude/*", 1))
        for push in pushes:
            await asyncio.to_thread(push.communicate, None, 30)
        return [push.returncode for push in pushes]

    assert site.ask(allow, operator=True) == [0, 0]
    assert site.upstream_ref("refs/heads/topic/b") == site.native("rev-parse", "HEAD")
    assert site.status().requests_open == 0


def test_a_yes_that_comes_later_is_good_for_the_retry(site: Site) -> None:
    site.native("commit", "-q", "--allow-empty", "-m", "second")
    assert site.agent("git", "push", "-q", "origin", "main").returncode == 1
    (request,) = site.ask(lambda client: client.requests())
    site.ask(lambda client: client.approve(request.id))
    retried = site.agent("git", "push", "-q", "origin", "main")
    assert (retried.returncode, retried.stderr) == (0, "")


def test_an_edit_is_enforced_in_the_running_plugin(site: Site) -> None:
    file = site.home.policy_file("git")
    assert site.agent("git", "status", "-s").returncode == 0
    file.write_text(file.read_text().replace("config --global,", "config --global, status,"))
    wanted = policy_hash(file.read_text())

    async def enforced(client: Client) -> None:
        async with asyncio.timeout(20):
            async for _ in client.notifications():
                if (await client.status()).plugins[0].policy.enforced_hash == wanted:
                    return

    site.ask(enforced)
    refused = site.agent("git", "status", "-s")
    assert refused.returncode != 0
    assert "blocked_subcommands" in refused.stderr


def test_the_plugin_goes_on_without_its_supervisor_and_nothing_is_lost_or_doubled(site: Site) -> None:
    before = site.status()
    os.kill(before.pid, signal.SIGKILL)
    for number in range(5):
        assert site.agent("git", "rev-parse", f"HEAD~0{'^{}' * number}").returncode == 0
    site.native("commit", "-q", "--allow-empty", "-m", "second")
    assert site.agent("git", "push", "origin", "main").returncode != 0
    after = daemon.start_in_background(site.home, site.project)
    assert after.pid != before.pid
    assert after.plugins[0].pid == before.plugins[0].pid
    # The gateway judges the push too, and tells it on a way of its own: its rows may come before all others.
    rows = site.rows_when(
        lambda rows: {"argv", "wire"} <= {row.event.layer for row in rows if row.event.args[:1] == ("push",)},
        plugin="git",
    )
    commands = [row.event.command for row in rows if row.event.args[:1] == ("rev-parse",)]
    assert len(commands) == len(set(commands)) == 5


def test_a_killed_plugin_comes_back(site: Site) -> None:
    pid = site.status().plugins[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)

    async def back(client: Client) -> PluginStatus:
        async with asyncio.timeout(20):
            async for _ in client.notifications():
                plugin = (await client.status()).plugins[0]
                if plugin.state == "running" and plugin.pid != pid and plugin.policy.state == "enforced":
                    return plugin
        raise AssertionError("the supervisor went away")

    assert site.ask(back).restarts == 1
    assert site.agent("git", "rev-parse", "HEAD").returncode == 0


def test_any_tool_is_plugged_in_and_taken_away_while_others_run(site: Site) -> None:
    (site.project / "Makefile").write_text("all:\n\t@echo made\npublish:\n\t@echo published\n")
    pid = site.status().plugins[0].pid
    text = "plugin: make\nversion: 1\nrules:\n  blocked_subcommands: [publish]\n"
    added = site.ask(lambda client: client.add_plugin("make", text))
    assert (added.state, added.policy.state) == ("running", "enforced")
    assert site.agent("make", "all").stdout == "made\n"
    refused = site.agent("make", "publish")
    assert refused.returncode != 0
    assert "published" not in refused.stdout
    assert "blocked_subcommands" in refused.stderr
    site.ask(lambda client: client.remove_plugin("make"))
    assert not os.path.lexists(site.home.cli / "make")
    assert not site.home.plugin_socket("make").exists()
    plugins = {plugin.name: plugin.pid for plugin in site.status().plugins}
    assert "make" not in plugins
    assert plugins["git"] == pid


def test_lockdown_refuses_everything_with_a_message(site: Site) -> None:
    site.ask(lambda client: client.lockdown(True, "Back at two."))
    while (refused := site.agent("git", "status")).returncode == 0:
        pass  # it was told, and takes it over in a moment
    assert "Back at two." in refused.stderr
    site.ask(lambda client: client.lockdown(False))
    while site.agent("git", "status").returncode != 0:
        pass
