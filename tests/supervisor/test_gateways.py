"""Where a gateway listens: the same as last time, and where nobody else comes to by chance."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plugins.base.policy import parse_policy
from plugins.claude.plugin import AgentRules
from supervisor.gateways import Doors, Gateways, doors, tool_of_image
from supervisor.state_db import StateDb


@pytest.fixture
def db(tmp_path: Path) -> Iterator[StateDb]:
    with closing(StateDb(tmp_path / "state.db").open()) as db:
        yield db


def _ports(chosen: Doors) -> tuple[int, int]:
    return int(chosen.gateway.split("/")[2].rpartition(":")[2]), int(chosen.stream.rpartition(":")[2])


def test_outgoing_connections_are_not_given_its_ports(db: StateDb) -> None:
    first, second = _ports(doors("git", db, running=False))
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert first != second
    assert max(first, second) < outgoing


def test_it_stays_where_it_is_until_another_listens_there(db: StateDb) -> None:
    chosen = doors("git", db, running=False)
    assert doors("git", db, running=False) == chosen
    with closing(socket.create_server(("127.0.0.1", _ports(chosen)[1]))):
        assert doors("git", db, running=True) == chosen
        assert doors("git", db, running=False) != chosen


NETWORK = "plugin: npm\nversion: 1\nnetwork: {allow: [a.example]}\nrules: {}\n"


def test_a_tool_has_a_gateway_while_its_policy_names_hosts(db: StateDb) -> None:
    gateways = Gateways(db, lambda _: None)
    assert (gateways.of("npm"), gateways.doors("npm")) == (None, Doors())
    gateways.take("npm", parse_policy(NETWORK, plugin="npm"))
    assert gateways.of("npm") == "npm-gateway"
    assert gateways.module("npm-gateway") == "plugins.base.egress"
    chosen = gateways.doors("npm")
    assert chosen.gateway and not chosen.stream
    gateways.take("npm", parse_policy(NETWORK.replace("[a.example]", "[]"), plugin="npm"))
    assert (gateways.of("npm"), gateways.doors("npm")) == (None, Doors())
    gateways.take("npm", parse_policy(NETWORK, plugin="npm"))
    assert gateways.doors("npm") == chosen


AGENT = "plugin: claude\nversion: 1\n"


def test_of_the_agent_there_is_a_gateway_alone_whatever_its_policy_says(db: StateDb) -> None:
    gateways = Gateways(db, lambda _: None)  # not even one that can be read
    assert gateways.processes("claude") == ("claude-gateway",)
    gateways.take("claude", parse_policy(AGENT, plugin="claude", rules_model=AgentRules))
    assert gateways.processes("claude") == ("claude-gateway",)
    assert gateways.module("claude-gateway") == "plugins.base.egress"
    assert tool_of_image("claude-gateway") == "git"
    assert tool_of_image("npm-gateway") == tool_of_image("npm") == "npm"


def test_where_no_agent_could_reach_its_gateway_there_is_none(db: StateDb) -> None:
    gateways = Gateways(db, lambda _: None, contained=False)
    gateways.take("claude", parse_policy(AGENT, plugin="claude", rules_model=AgentRules))
    assert gateways.processes("claude") == ()
    assert gateways.processes("git") == ("git", "git-gateway")


def test_gits_gateway_is_there_whatever_its_policy_says(db: StateDb) -> None:
    gateways = Gateways(db, lambda _: None)
    assert gateways.of("git") == "git-gateway"
    assert gateways.module("git-gateway") == "plugins.git.gateway"
    assert gateways.doors("git").stream
