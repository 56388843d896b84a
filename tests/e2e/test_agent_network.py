"""What an agent in its container connects to: what its policy names, by its gateway, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from supervisor.containers.agent_network import GATEWAY
from tests.e2e.ground import until
from tests.e2e.installed import Installed, installed
from tests.engine import PATIENCE, engine_or_skip, images_or_skip
from tests.supervisor.containers.docker.conftest import networks
from tests.tls import certificate, web_server

pytestmark = [pytest.mark.timeout(PATIENCE), pytest.mark.xdist_group("docker-e2e")]
POLICY: Final = "plugin: claude\nversion: 1\nnetwork: {allow: [%s]}\napprovals: {on_block: refuse}\n"
# As any program that goes by HTTPS_PROXY, with what is there.
FETCH: Final = """p=${HTTPS_PROXY#http://}; u=${p%%@*}
printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 20 openssl s_client -quiet -proxy "${p#*@}" \
  -proxy_user "${u%%:*}" -proxy_pass "pass:${u#*:}" -connect "$1" 2>&1
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Installed]:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's home can only be made by root")
    engine = engine_or_skip()
    images_or_skip(engine, "git", "claude")
    with installed(engine) as site:
        site.start_agent()
        yield site


@pytest.fixture(scope="module")
def hosts(site: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two web servers that gateways reach, as they reach any in the world."""
    both, address = certificate(tmp_path_factory.mktemp("tls")), site.ground.upstream.host
    with web_server(both, address, b"page 1") as one, web_server(both, address, b"page 2") as two:
        yield f"{address}:{one}", f"{address}:{two}"


def fetched(site: Installed, host: str) -> str:
    """What the agent that is at work gets there."""
    environment = site.inside(site.agent, "cat", "/proc/1/environ").stdout
    (proxy,) = (line for line in environment.split("\0") if line.startswith("HTTPS_PROXY="))
    return site.inside(site.agent, "env", proxy, "sh", "-c", FETCH, "sh", host).stdout


def allow(site: Installed, *hosts: str) -> None:
    policy = site.home.policy_file("claude")
    policy.write_text(POLICY % ", ".join(f'"{host}"' for host in hosts))
    policy.chmod(0o644)


def test_it_reaches_what_its_policy_names_and_no_other_host(site: Installed, hosts: tuple[str, str]) -> None:
    one, two = hosts
    assert "403" in fetched(site, one)
    allow(site, one)  # in force for the agent that is at work
    until(lambda: "page 1" in fetched(site, one), site.logs)
    assert "page 2" not in fetched(site, two)
    told = {(("connect", one), "allowed"), (("connect", two), "blocked")}
    until(lambda: told <= judged(site), site.logs)


def judged(site: Installed) -> set[tuple[tuple[str, ...], str]]:
    """What was asked for, and what became of it."""
    return {(row.event.args, str(row.event.verdict)) for row in site.rows() if row.event.plugin == "claude"}


def test_a_killed_gateway_comes_back_where_it_was(site: Installed, hosts: tuple[str, str]) -> None:
    allow(site, hosts[0])
    until(lambda: "page 1" in fetched(site, hosts[0]), site.logs)
    old = site.pid(GATEWAY)
    os.kill(old, signal.SIGKILL)
    until(lambda: site.pids(GATEWAY) not in ([], [0], [old]), site.logs)
    until(lambda: "page 1" in fetched(site, hosts[0]), site.logs)


def test_several_agents_have_the_same_way_out(site: Installed, hosts: tuple[str, str]) -> None:
    allow(site, hosts[0])
    until(lambda: "page 1" in fetched(site, hosts[0]), site.logs)
    assert "page 1" in site.cli("run", "--", "sh", "-c", FETCH, "sh", hosts[0]).stdout


def test_nothing_but_the_gateway_is_there(site: Installed) -> None:
    script = "getent hosts github.com; timeout 3 bash -c ': >/dev/tcp/1.1.1.1/443'"
    done = site.cli("run", "--", "sh", "-c", script)
    assert done.returncode != 0
    assert "github" not in done.stdout
    (network,) = site.engine.api.inspect_container(site.agent)["NetworkSettings"]["Networks"]
    assert network == networks(site.engine, site.home).inner("claude").name
    assert site.engine.api.inspect_network(network)["Internal"] is True


def test_in_a_lockdown_it_reaches_nothing(site: Installed, hosts: tuple[str, str]) -> None:
    allow(site, hosts[0])
    until(lambda: "page 1" in fetched(site, hosts[0]), site.logs)
    site.told("lockdown", "enough")
    assert "page 1" not in fetched(site, hosts[0])
    site.told("lockdown", "--off")
    assert "page 1" in fetched(site, hosts[0])


def test_without_a_policy_it_has_no_network_and_it_is_said_how_to_get_one(site: Installed) -> None:
    site.told("plugin", "remove", "claude")
    until(lambda: GATEWAY not in {each["name"] for each in site.status()["plugins"]}, site.logs)
    done = site.cli("run", "--", "sh", "-c", "env | grep -ci proxy; ls /sys/class/net")
    assert done.stdout.split() == ["0", "lo"]
    assert "The agent has no network" in done.stderr
    assert "plugin add claude" in done.stderr
    site.told("plugin", "add", "claude")
    until(site.runs, site.logs)
    shipped = Path(__file__).parents[2] / "config" / "claude.yaml"
    assert site.home.policy_file("claude").read_text() == shipped.read_text()
    assert site.told("run", "--", "sh", "-c", "env | grep -c ^HTTPS_PROXY") == "1\n"
