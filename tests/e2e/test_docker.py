"""The Docker runtime by the commands that people type: a real remote, an agent who tries things."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

import pytest

from supervisor.api.client import Client
from supervisor.audit.reader import AuditRow
from supervisor.containers.facts import WRAPPERS
from supervisor.containers.names import AGENT
from supervisor.home import Home
from tests.e2e.ground import REPOSITORY, UID, until
from tests.e2e.installed import TOOLS, Installed, installed
from tests.e2e.look import (
    LOOK,
    Seen,
    assert_hardened,
    assert_no_privileges,
    assert_no_way_out,
    assert_of_a_plugin,
    assert_of_an_agent,
    assert_planted,
    assert_powerless,
    seen,
)  # fmt: skip
from tests.e2e.planted import WAYS, Way, looked, looked_by_a_hook, planting, processes
from tests.engine import PATIENCE, engine_or_skip, images_or_skip
from tests.upstream import TOKEN

pytestmark = [pytest.mark.timeout(PATIENCE), pytest.mark.xdist_group("docker-e2e")]
BUSY: Final = """i=0
until test -e /workspace/enough; do git rev-parse HEAD >/dev/null || echo failed; i=$((i+1)); sleep 0.02; done
echo $i
"""
POLICY: Final = "plugin: %s\nversion: 1\nrules: {blocked_subcommands: [--no-such-thing]}\n"


@pytest.fixture(scope="module")
def site() -> Iterator[Installed]:
    if os.geteuid() != 0:
        pytest.skip("looking at others' processes needs root")
    engine = engine_or_skip()
    images_or_skip(engine, "git", AGENT)  # the layers; each home gives them names of its own
    with installed(engine) as site:
        site.start_agent()
        yield site


def script(site: Installed) -> str:
    first, rest = LOOK.split("\n", 1)
    doors = [f"{address}:{port}" for plugin in ("git", "git-gateway") for address in site.addresses(plugin)
             for port in ports(site)]  # fmt: skip
    remote = f"{site.ground.upstream.host}:{site.ground.upstream.port}"
    return f"{first}\nTARGETS='{remote} 1.1.1.1:443 {' '.join(doors)}'\n{rest}"


def ports(site: Installed) -> list[str]:
    """Of the gateway: for smart HTTP alone, which answers anybody."""
    said = json.loads((site.home.container_start("git") / "start.json").read_text())
    return [said["gateway"].split("/")[2].split(":")[1]]


def door(site: Installed) -> set[str]:
    said = json.loads((site.home.container_start("git") / "start.json").read_text())
    return {said["gateway"].split("/")[2]}


def look(site: Installed, container: str) -> Seen:
    return seen(site.inside(container, "bash", "-c", script(site)).stdout)


def test_an_agent_in_its_container_pushes_its_branch_and_is_refused_on_main(site: Installed) -> None:
    before = site.ground.refs()
    words = (
        "git switch -q -c claude/topic && git commit -q --allow-empty -m Second && git push -q origin HEAD"
    )
    assert site.told("run", "--", "sh", "-c", words) == ""
    refused = site.cli("run", "--", "git", "push", "origin", "HEAD:main")
    assert refused.returncode == 1
    assert "blocked_branches" in refused.stderr
    after = site.ground.refs()
    assert after.pop("refs/heads/claude/topic") == site.git("rev-parse", "HEAD").stdout.strip()
    assert after == before
    assert any(row.event.args[-1:] == ("HEAD:main",) for row in site.rows())
    assert f"/git/{REPOSITORY}/git-receive-pack 200 Basic" in site.ground.upstream.log()


def test_the_agent_has_its_work_and_the_plugins_sockets(site: Installed) -> None:
    found = look(site, site.agent)
    assert_of_an_agent(found, UID)


def test_the_plugins_container_has_the_workspace_and_its_gateway(site: Installed) -> None:
    found = look(site, site.container("git"))
    assert_of_a_plugin(found, UID, door(site))


def test_the_gateways_container_has_no_workspace(site: Installed) -> None:
    found = look(site, site.container("git-gateway"))
    assert_powerless(found, UID)
    assert_hardened(found)
    assert set(found["writable"]) == {"/tmp", "/var/lib/claude-container"}
    assert "cat: /proc/1/environ: Permission denied" in found["environ"]
    assert not any(line.startswith("/workspace ") for line in found["mounts"])


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_planted_code_has_the_workspace_and_its_gateway(site: Installed, way: Way) -> None:
    assert_planted(looked(site.ground, script(site), site.git, way), UID, door(site))


def test_a_hook_of_the_repository_has_what_the_agent_has(site: Installed) -> None:
    """It runs on the agent's side, where its toolchain is."""
    found = looked_by_a_hook(site.ground, script(site), site.git)
    assert_of_an_agent(found, UID, "git", "/bin/sh", "/bin/bash")


def test_planted_code_has_no_privileges(site: Installed) -> None:
    """Seen from the host: inside, /proc is out of reach."""
    name = "54322"
    with planting(site.ground, f"exec sleep {name}"):
        adding = ["docker", "exec", site.agent, "git", "add", "x.look"]
        waiting = subprocess.Popen(adding, env=site.environment(), stderr=subprocess.DEVNULL)
        until(lambda: processes("sleep", name) != [])
        (found,) = processes("sleep", name)
        status = (found / "status").read_text()
        os.kill(int(found.name), signal.SIGKILL)
        waiting.wait()
    assert_no_privileges(status)


def test_the_token_is_in_nobodys_settings(site: Installed) -> None:
    everything = [site.agent, site.container("git"), site.container("git-gateway")]
    assert TOKEN not in json.dumps([site.engine.api.inspect_container(each) for each in everything])
    kept = [path for path in site.ground.home.rglob("*") if path.is_file()]
    assert [path for path in kept if TOKEN.encode() in path.read_bytes()] == []


def nothing_doubled(rows: list[AuditRow]) -> bool:
    return len({row.event.id for row in rows}) == len(rows)


@pytest.mark.parametrize("plugin", ["git", "git-gateway"])
def test_what_is_killed_comes_back_and_no_record_is_lost_or_doubled(site: Installed, plugin: str) -> None:
    old, count = site.pid(plugin), len(site.rows())
    os.kill(old, signal.SIGKILL)
    until(lambda: site.pids(plugin) not in ([], [0], [old]), site.logs)
    until(lambda: site.git("fetch", "-q", "origin").returncode == 0, site.logs)
    until(lambda: len(site.rows()) > count, site.logs)
    assert nothing_doubled(site.rows())
    site.told("audit", "verify")


def test_a_killed_supervisor_leaves_plugins_that_go_on_and_are_adopted(site: Installed) -> None:
    pids = [site.pid("git"), site.pid("git-gateway")]
    os.kill(int(site.status()["pid"]), signal.SIGKILL)
    mark = "refs/heads/while-nobody-watches"
    assert site.git("rev-parse", "--verify", "-q", mark).returncode == 1
    site.start()
    assert [site.pid("git"), site.pid("git-gateway")] == pids
    until(lambda: sum(mark in row.event.args for row in site.rows()) == 1, site.logs)
    assert nothing_doubled(site.rows())
    site.told("audit", "verify")


def test_ten_plugins_come_and_go_and_no_command_of_another_fails(site: Installed) -> None:
    """Several at once, but for the first, which is added as people do; they share its image."""
    command = ["docker", "exec", site.agent, "sh", "-c", BUSY]
    working = subprocess.Popen(
        command, env=site.environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    first, *others = TOOLS
    try:
        site.told("plugin", "add", first, "--block", "--no-such-thing")
        for tool in others:
            site.share_image(first, tool)
        asyncio.run(for_each(site.home, others, lambda api, tool: api.add_plugin(tool, POLICY % tool)))
        for tool in TOOLS:
            until(partial(works, site, tool), site.logs)
            refused = site.inside(site.agent, f"{WRAPPERS}/{tool}", "--no-such-thing")
            assert (refused.returncode, "blocked_subcommands" in refused.stderr) == (1, True)
        site.told("plugin", "remove", first)
        asyncio.run(for_each(site.home, others, lambda api, tool: api.remove_plugin(tool)))
        assert sorted(path.name for path in site.home.cli.iterdir()) == ["git", "plugin-client"]
    finally:
        (site.ground.workspace / "enough").touch()
        said = working.communicate(timeout=60)[0].split()
    assert said[:-1] == []
    assert int(said[-1]) > 10
    assert [each["name"] for each in site.status()["plugins"]] == ["claude-gateway", "git", "git-gateway"]


def works(site: Installed, tool: str) -> bool:
    return "coreutils" in site.inside(site.agent, f"{WRAPPERS}/{tool}", "--version").stdout


async def for_each(home: Home, tools: list[str], act: Callable[[Client, str], Awaitable[object]]) -> None:
    """Three at once: a busy machine is done with each in time."""
    client, turns = await Client.connect(home), asyncio.Semaphore(3)

    async def in_turn(tool: str) -> None:
        async with turns:
            await act(client, tool)

    try:
        await asyncio.gather(*map(in_turn, tools))
    finally:
        await client.close()


def test_two_homes_at_once_do_not_see_each_other(site: Installed) -> None:
    with installed(site.engine) as other:
        other.start_agent()
        mine, others = site.addresses("git-gateway"), other.addresses("git-gateway")
        assert set(mine).isdisjoint(others)
        found = look(other, other.container("git"))
        assert_no_way_out(found, door(other))
        assert site.runs()
        other.told("stop")
        assert site.git("fetch", "-q", "origin").returncode == 0
