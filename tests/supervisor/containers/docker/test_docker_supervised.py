"""A supervisor whose plugins are containers: the git plugin and its gateway, as they are shipped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from plugins.base.serving.protocol import encode, header
from supervisor import daemon
from supervisor.api.client import Client
from supervisor.containers.engine import Engine
from supervisor.containers.runtime import DockerRuntime
from supervisor.runtimes.runtime import NotBuilt
from supervisor.status import Status
from tests.engine import ROOT
from tests.supervisor.containers.docker.conftest import calls
from tests.supervisor.harness import Place, reasons, status_when, supervised

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("engine")]

TOKEN = "ghp_0123456789abcdefghij0123456789abcdef"
PATIENCE = 120.0
SUPERVISOR = """import asyncio, sys
from pathlib import Path
from supervisor.containers.runtime import DockerRuntime
from supervisor.home import Home
from supervisor.supervisor import Supervisor
home = Home(Path(sys.argv[1]))
supervisor = Supervisor(home, Path(sys.argv[2]), DockerRuntime(home, version=sys.argv[3]))
asyncio.run(supervisor.run(ready=lambda: print("ready", flush=True)))
"""


def set_up(place: Place) -> Place:
    """A repository with an origin, under the shipped policy."""
    home, workspace = place
    git = ["git", "-C", str(workspace)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    who = ["-c", "user.name=A", "-c", "user.email=a@example.invalid"]
    subprocess.run([*git, *who, "commit", "-q", "--allow-empty", "-m", "First"], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://github.invalid/x/y.git"], check=True)
    home.policy_file("git").write_bytes((ROOT / "config" / "git.yaml").read_bytes())
    return place


@asynccontextmanager
async def contained(place: Place, version: str) -> AsyncIterator[Client]:
    async with supervised(*place, DockerRuntime(place[0], version=version)) as client:
        yield client


def runs(status: Status) -> bool:
    """Whether the plugin and its gateway work under their policy."""
    states = [(plugin.name, plugin.state, plugin.policy.state) for plugin in status.plugins]
    return states == [("git", "running", "enforced"), ("git-gateway", "running", "enforced")]


async def running(client: Client) -> Status:
    return await status_when(client, runs, seconds=PATIENCE)


async def command(place: Place, *args: str) -> Mapping[str, Any]:
    """What the plugin answers to a command of the agent's."""
    reader, writer = await asyncio.open_unix_connection(str(place[0].plugin_socket("git")))
    try:
        request = encode({"action": "exec", "args": args, "cwd": "/workspace", "env": {}})
        writer.write(header(len(request)) + request)
        async with asyncio.timeout(PATIENCE):
            length = int.from_bytes(await reader.readexactly(4), "big")
            answer: Mapping[str, Any] = json.loads(await reader.readexactly(length))
            return answer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def measured(place: Place) -> None:
    """Wait until an operator who looks is shown CPU and memory of every plugin."""
    operator = await Client.connect(place[0], operator=True)
    try:
        await status_when(
            operator,
            lambda s: all(plugin.memory_bytes and plugin.cpu_percent is not None for plugin in s.plugins),
            seconds=PATIENCE,
        )
    finally:
        await operator.close()


async def test_commands_run_and_are_judged_in_containers_that_leave_nothing_behind(
    place: Place, version: str, engine: Engine
) -> None:
    async with contained(set_up(place), version) as client:
        status = await running(client)
        assert status.runtime == "docker"
        git, gateway = status.plugins
        assert git.tool.startswith("git version")
        assert git.isolation.landlock_abi > 0
        assert git.isolation.seccomp
        assert git.pid
        assert gateway.pid
        done = await command(place, "rev-parse", "--show-toplevel")
        assert (done["exit_code"], done["stdout"]) == (0, "/workspace\n"), done
        refused = await command(place, "config", "--global", "user.name", "Mallory")
        assert refused["exit_code"] != 0
        assert "config --global" in refused["stderr"]
        await measured(place)
        with pytest.raises(NotBuilt, match="The image of make is not built"):
            await client.add_plugin("make")
        assert not place[0].policy_file("make").exists()
    assert calls(engine, place[0]).all() == []
    assert "listens on /run/plugins/git.sock" in (place[0].logs / "git.log").read_text()


async def test_the_token_reaches_the_gateway_and_is_nowhere_to_be_read(
    place: Place, version: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    async with contained(set_up(place), version) as client:
        status = await status_when(
            client, lambda s: runs(s) and "GITHUB_TOKEN" in s.plugins[1].tool, seconds=PATIENCE
        )
        assert "GITHUB_TOKEN" not in status.plugins[0].tool
        for found in calls(engine, place[0]).all():
            assert TOKEN not in json.dumps(engine.api.inspect_container(found.id))
        files = [path for path in place[0].root.rglob("*") if path.is_file()]
        assert any(path.name == "start.json" for path in files)
        assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("plugin", ["git", "git-gateway"])
async def test_a_container_that_is_killed_comes_back(
    place: Place, version: str, engine: Engine, plugin: str
) -> None:
    async with contained(set_up(place), version) as client:
        await running(client)
        found = next(each for each in calls(engine, place[0]).all() if each.plugin == plugin)
        await asyncio.to_thread(engine.api.kill, found.id, "SIGKILL")
        await status_when(
            client,
            lambda s: runs(s) and any(each.restarts for each in s.plugins if each.name == plugin),
            seconds=PATIENCE,
        )
        assert any(f"{plugin} was ended by SIGKILL" in reason for reason in reasons(place[0]))
        assert (await command(place, "rev-parse", "--git-dir"))["exit_code"] == 0


@contextmanager
def killable(place: Place, version: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in a process of its own, ready."""
    arguments = [sys.executable, "-P", "-c", SUPERVISOR, str(place[0].root), str(place[1]), version]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def left_running(place: Place, version: str) -> list[int | None]:
    """The numbers of the plugins that a killed supervisor leaves running."""
    with killable(set_up(place), version) as process:
        client = await Client.connect(place[0])
        status = await running(client)
        await client.close()
        process.send_signal(signal.SIGKILL)
    return [plugin.pid for plugin in status.plugins]


async def test_the_next_supervisor_takes_over_what_a_killed_one_left_and_no_event_is_lost(
    place: Place, version: str
) -> None:
    pids = await left_running(place, version)
    done = await command(place, "rev-parse", "--is-inside-work-tree")
    assert done["stdout"] == "true\n"
    async with contained(place, version) as client:
        status = await running(client)
        assert [plugin.pid for plugin in status.plugins] == pids
        assert not any(plugin.restarts for plugin in status.plugins)
        async with asyncio.timeout(PATIENCE):
            while not recorded(place, "--is-inside-work-tree"):  # noqa: ASYNC110 - another thread writes
                await asyncio.sleep(0.02)


def recorded(place: Place, argument: str) -> bool:
    from supervisor.audit.reader import AuditFilter, AuditReader

    reader = AuditReader(place[0].audit_db)
    try:
        return any(argument in row.event.args for row in reader.rows(AuditFilter(), 0, 1000))
    finally:
        reader.close()


async def test_stop_ends_what_a_killed_supervisor_left(place: Place, version: str, engine: Engine) -> None:
    await left_running(place, version)
    assert len(calls(engine, place[0]).all()) == 2
    await asyncio.to_thread(daemon.stop, place[0])
    assert calls(engine, place[0]).all() == []


async def test_a_change_of_runtime_ends_what_the_other_one_left(
    place: Place, version: str, engine: Engine
) -> None:
    await left_running(place, version)
    async with supervised(*place):
        assert calls(engine, place[0]).all() == []
