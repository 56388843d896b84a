"""compose.yaml and supervisor/containers/facts.py say the same: hardening, mounts and networks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from plugins.base.control import StartConfig
from plugins.base.doors import tool_of
from supervisor.containers.agent_network import environment_of
from supervisor.containers.facts import (
    CONTROL,
    START,
    Container,
    Mount,
    User,
    of_agent,
    of_plugin,
    seccomp_profile,
)
from supervisor.containers.names import AGENT, instance_of
from supervisor.containers.network_facts import inner_network, outer_network
from supervisor.home import Home

ROOT: Final = Path(__file__).parents[1]
HOME: Final = Home(Path("/home/u/.claude-container"))
WORKSPACE: Final = "/home/u/project"
USER: Final = User(1234, 5678)
ENVIRONMENT: Final = {
    "CLAUDE_UID": "1234", "CLAUDE_GID": "5678", "CLAUDE_HOME": str(HOME.root), "WORKSPACE": WORKSPACE,
    "CLAUDE_GATEWAY_SECRET": "canary",
}  # fmt: skip
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?:(:?[-?])([^}]*))?\}")
_UNITS: Final = {"m": 1 << 20, "g": 1 << 30}
# What takes the supervisor's place: policies, pins and the gateway's door, which a StartConfig has otherwise.
DOOR: Final = "/run/doors"
# No tool sees another one's; the agent is told of its gateway in its environment.
DOORS: Final = {
    "git-plugin": "doors", "git-gateway": "doors", "npm-plugin": "npm-doors", "npm-gateway": "npm-doors",
    "claude-gateway": "",
}  # fmt: skip
OWN_READ_ONLY: Final = {"/etc/claude-container", "/run/pins"}


def substituted(text: str, environment: Mapping[str, str]) -> str:
    """As compose fills variables in; one that must be set and is not is an error."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        if name in environment:
            return environment[name]
        if kind is None or kind.endswith("?"):
            raise KeyError(name)
        return str(default)

    return _VARIABLE.sub(value, text)


COMPOSE: Final = yaml.safe_load(substituted((ROOT / "compose.yaml").read_text(), ENVIRONMENT))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]


def plugin(name: str) -> Container:
    config = StartConfig(
        plugin=name, socket=str(HOME.plugin_socket(name)), control=str(HOME.control_socket), token="",
        workspace=WORKSPACE, state=str(HOME.plugin_state(name)), client="", path="",
    )  # fmt: skip
    return of_plugin(config, HOME, USER, "2.0.0", inner_network(instance_of(HOME), tool_of(name)))


FACTS: Final = {
    "git-plugin": plugin("git"),
    "git-gateway": plugin("git-gateway"),
    "npm-plugin": plugin("npm"),  # as any tool
    "npm-gateway": plugin("npm-gateway"),
    "claude-gateway": plugin("claude-gateway"),
    "claude": of_agent(HOME, Path(WORKSPACE), USER, "2.0.0", network=inner_network(instance_of(HOME), AGENT)),
}
each = pytest.mark.parametrize("name", FACTS)
everywhere = pytest.mark.parametrize("name", SERVICES)


def size(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]]


def mounts(name: str) -> set[Mount]:
    parts = [text.split(":") for text in SERVICES[name].get("volumes", ())]
    return {Mount(source, target, more == ["ro"]) for source, target, *more in parts}


def networks(name: str) -> set[str]:
    return set(SERVICES[name].get("networks", ()))


@each
def test_hardening_is_the_same(name: str) -> None:
    service, fact = SERVICES[name], FACTS[name]
    assert service["user"] == str(fact.user)
    assert service["read_only"] is fact.read_only
    assert tuple(service["cap_drop"]) == fact.cap_drop
    assert ("no-new-privileges:true" in service["security_opt"]) is fact.no_new_privileges
    assert ("seccomp:supervisor/seccomp.json" in service["security_opt"]) is fact.seccomp
    assert service["pids_limit"] == fact.pids
    assert size(service["mem_limit"]) == size(service["memswap_limit"]) == fact.memory_bytes
    assert service["ulimits"] == {"nofile": fact.files, "memlock": fact.locked_bytes}
    assert service["stop_grace_period"] == f"{fact.stop_seconds}s"
    assert dict(text.split(":", 1) for text in service["tmpfs"]) == dict(fact.tmpfs)


def test_the_profile_of_system_calls_is_one_file() -> None:
    assert json.loads(seccomp_profile()) == json.loads((ROOT / "supervisor" / "seccomp.json").read_text())


@each
def test_image_name_and_place_are_the_same(name: str) -> None:
    service, fact = SERVICES[name], FACTS[name]
    assert service["image"] == fact.image
    assert service["hostname"] == fact.hostname
    assert service["working_dir"] == fact.working_directory
    assert tuple(service.get("dns", ())) == fact.dns
    assert tuple(service.get("dns_opt", ())) == fact.dns_options


@each
def test_what_the_runtime_sets_in_the_environment_compose_sets_too(name: str) -> None:
    given = SERVICES[name]["environment"]
    if isinstance(given, list):
        given = dict(text.split("=", 1) for text in given if "=" in text)
    assert {key: given.get(key) for key in FACTS[name].environment} == dict(FACTS[name].environment)


def test_the_agent_sees_workspace_wrappers_and_sockets_and_nothing_else() -> None:
    assert mounts("claude") == set(FACTS["claude"].mounts)


def of_both(found: set[Mount]) -> set[tuple[str, bool]]:
    """Targets that a supervisor does not change, and whether they are read-only."""
    # On the host nobody types commands through compose: the workspace has one path.
    instead = {*OWN_READ_ONLY, "/run/doors", CONTROL, str(Path(START).parent), WORKSPACE}
    return {(mount.target, mount.read_only) for mount in found if mount.target not in instead}


@pytest.mark.parametrize("name", sorted({*FACTS} - {AGENT}))
def test_a_plugins_mounts_are_the_same_but_for_what_a_supervisor_would_say(name: str) -> None:
    found = mounts(name)
    assert of_both(found) == of_both(set(FACTS[name].mounts))
    doors = {Mount(f"{HOME.root}/run/compose/{DOORS[name]}", DOOR, read_only="gateway" not in name)}
    assert {mount for mount in found if mount.target == DOOR} == (doors if DOORS[name] else set())
    read_only = OWN_READ_ONLY if name.startswith("git") else OWN_READ_ONLY - {"/run/pins"}
    assert {mount.target for mount in found if mount.read_only} - {DOOR} == read_only


def test_workspace_and_sockets_come_from_the_same_places() -> None:
    shared = {mount for mount in FACTS["git-plugin"].mounts if mount.target in ("/workspace", "/run/plugins")}
    assert shared <= mounts("git-plugin")


def test_each_plugin_has_a_state_of_its_own() -> None:
    sources = [
        mount.source for name in SERVICES for mount in mounts(name) if mount.target.startswith("/var/")
    ]
    assert len(set(sources)) == len(sources) == 5


def test_networks_are_the_same() -> None:
    instance = instance_of(HOME)
    inner = {tool: inner_network(instance, tool) for tool in ("git", "npm", AGENT)}
    facts = {**inner, "out": outer_network(instance)}
    names = {name: network.name for name, network in facts.items()}
    for name, fact in FACTS.items():
        assert {names[each] for each in networks(name)} == {each.network.name for each in fact.networks}
    assert COMPOSE["networks"].keys() == names.keys()
    for name, network in facts.items():
        assert COMPOSE["networks"][name].get("internal", False) is network.internal
        assert COMPOSE["networks"][name]["driver_opts"] == network.options


@everywhere
def test_nobody_gets_more_than_the_facts_can_say(name: str) -> None:
    """A key that widens a container (privileged, cap_add, pid, devices, ports, ...) is none of these."""
    assert SERVICES[name].keys() <= {
        "user", "read_only", "cap_drop", "security_opt", "ulimits", "stop_grace_period", "tmpfs",
        "pids_limit", "init", "restart", "working_dir", "image", "build", "command", "environment",
        "volumes", "network_mode", "mem_limit", "memswap_limit", "hostname", "networks", "dns", "dns_opt",
        "depends_on", "healthcheck", "profiles", "stdin_open", "tty",
    }  # fmt: skip
    assert SERVICES[name].get("network_mode", "none") == "none"
    assert not any("docker.sock" in mount.source for mount in mounts(name))


@everywhere
def test_the_token_is_given_to_the_gateway_alone(name: str) -> None:
    assert ("GITHUB_TOKEN" in json.dumps(SERVICES[name])) is (name == "git-gateway")
    assert ("ANTHROPIC_API_KEY" in json.dumps(SERVICES[name])) is (name == AGENT)


@everywhere
def test_the_agents_gateway_is_opened_by_a_secret_that_the_agent_has(name: str) -> None:
    assert ("canary" in json.dumps(SERVICES[name])) is (name in (AGENT, "claude-gateway"))


def test_the_agent_is_told_of_its_gateway_as_the_runtime_tells_it() -> None:
    """But for the id of a command, which nobody makes here."""
    given = dict(text.split("=", 1) for text in SERVICES[AGENT]["environment"] if "=" in text)
    told = environment_of("http://gateway:8417/canary", "ID")
    told = {key: value.replace("claude-ID:", "claude:") for key, value in told.items() if value}
    assert {key: given.get(key) for key in told} == told


def test_nothing_starts_for_a_user_or_a_project_that_nobody_named() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for name in ENVIRONMENT:
        with pytest.raises(KeyError):
            substituted(text, {key: value for key, value in ENVIRONMENT.items() if key != name})
