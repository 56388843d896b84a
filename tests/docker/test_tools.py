"""Any tool, plugged in while an agent is at work in its container: npm, gh, make, and a plugin in Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.containers.names import AGENT, image
from tests.docker.node import NODE, make_node
from tests.docker.place import Place, Terminal, new_place
from tests.engine import VERSION
from tests.tls import certificate, web_server

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("tools-in-containers")]
ROOT = Path(__file__).parents[2]
CHOICES = f"""
[npm]
base = "{NODE}"

[gh]
base = "{image("git", VERSION)}"
packages = ["ca-certificates", "gh", "git"]

[make]
packages = ["make"]
python = "{ROOT}/docs/example-plugin"

[hollow]
packages = ["make"]
"""
PACKAGE = '{"name": "demo", "version": "1.0.0", "scripts": {"hello": "echo said by a script"}}'
MAKEFILE = "test:\n\t@echo tested\ndeploy:\n\t@echo deployed\n"
RULES = "plugin: make\nversion: 1\nrules: {allowed_targets: [test]}\napprovals: {on_block: refuse}\n"
BY_HAND = """\
#!/bin/sh
SOCKET="/run/plugins/make.sock"
if [ ! -S "$SOCKET" ]; then
    echo "error: make plugin not available" >&2
    exit 127
fi
exec plugin-client "$SOCKET" "$@"
"""


@pytest.fixture(scope="module")
def node() -> None:
    make_node()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `pip install docs/example-plugin` has put the package."""
    directory = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*command, directory, ROOT / "docs" / "example-plugin"], check=True)
    return directory


@pytest.fixture(scope="module")
def place(installed: Path) -> Iterator[Place]:
    with new_place(AGENT, "git", more=CHOICES) as place:
        place.environment["PYTHONPATH"] = str(installed)
        subprocess.run(["git", "init", "-q", str(place.workspace)], check=True)
        (place.workspace / "package.json").write_text(PACKAGE)
        (place.workspace / "Makefile").write_text(MAKEFILE)
        place.does("start", "--runtime", "docker", "--workspace", str(place.workspace))
        yield place


@pytest.fixture(scope="module")
def agent(place: Place) -> Iterator[Terminal]:
    """One agent's container for all tests: what is new must work without a restart."""
    with place.terminal("sh", columns=200) as terminal:
        terminal.type(b"PS1=; echo rea''dy\n")
        terminal.sees(b"ready\r\n")
        yield terminal


def says(agent: Terminal, command: str, *texts: str) -> None:
    """Type the command, and wait until the agent sees the texts, in this order."""
    agent.type(f"{command}\n".encode())
    agent.sees(b"\r\n")
    for text in texts:
        agent.sees(text.encode())


def ended(command: str) -> str:
    return f"{command}; echo en''ded $?"


def test_npm_is_there_at_once_under_its_rules_and_goes(place: Place, agent: Terminal, node: None) -> None:
    says(agent, ended("npm --version"), "not found", "ended 127")
    place.does("plugin", "add", "npm")
    says(agent, ended("npm run hello"), "said by a script", "ended 0")
    says(agent, ended("npm publish"), "error: `npm publish` is blocked.", "ended 1")
    place.does("plugin", "remove", "npm")
    says(agent, ended("npm --version"), "not found", "ended 127")


NETWORKED = """\
plugin: npm
version: 1
network: {{allow: ["{host}"]}}
rules: {{}}
approvals: {{on_block: refuse}}
"""
FOUND = b'{"name": "demo", "dist-tags": {"latest": "1.2.3"}, "versions": {"1.2.3": {"version": "1.2.3"}}}'


def test_npm_reaches_the_hosts_of_its_policy_and_no_others(
    place: Place, agent: Terminal, node: None, tmp_path: Path
) -> None:
    out = next(name for name in place.networks() if name.endswith("-out"))
    here = place.engine.api.inspect_network(out)["IPAM"]["Config"][0]["Gateway"]
    with web_server(certificate(tmp_path), here, FOUND) as port:
        (tmp_path / "npm.yaml").write_text(NETWORKED.format(host=f"{here}:{port}"))
        place.does("plugin", "add", "npm", "--file", str(tmp_path / "npm.yaml"))
        view = "npm view demo version --strict-ssl=false --fetch-retries=0 --registry"
        says(agent, ended(f"{view} https://{here}:{port}/"), "1.2.3", "ended 0")
        says(agent, ended(f"{view} https://elsewhere.example/"), "not among the hosts", "ended 1")
        place.does("plugin", "remove", "npm")


def test_gh_does_what_needs_no_account(place: Place, agent: Terminal) -> None:
    """On a base that has most of it already, and was left as a user without rights."""
    place.does("plugin", "add", "gh", GH_TOKEN="canary-of-gh", GITHUB_TOKEN="canary-of-gh")
    says(agent, ended("gh --version"), "gh version", "ended 0")
    says(agent, ended("gh auth token"), "error: Only these may run", "ended 1")
    place.does("plugin", "remove", "gh")


def test_a_plugin_in_python_judges_by_its_own_rules(place: Place, agent: Terminal, tmp_path: Path) -> None:
    policy = tmp_path / "make.yaml"
    policy.write_text(RULES)
    place.does("plugin", "add", "make", "--file", str(policy))
    says(agent, ended("make test"), "tested", "ended 0")
    says(agent, ended("make deploy"), "The target deploy is not one of: test.", "ended 1")
    place.does("plugin", "remove", "make")
    says(agent, ended("make test"), "not found", "ended 127")


def test_a_tool_can_be_added_by_hand(place: Place, agent: Terminal) -> None:
    place.does("build", "make")
    wrapper = place.home.cli / "make"
    wrapper.write_text(BY_HAND)
    wrapper.chmod(0o755)
    says(agent, ended("make test"), "make plugin not available", "ended 127")
    place.home.policy_file("make").write_text(RULES)
    says(agent, "until make test >out 2>/dev/null; do sleep 0.1; done; cat out", "tested")
    says(agent, ended("make deploy"), "The target deploy is not one of: test.", "ended 1")
    place.does("plugin", "remove", "make")
    assert wrapper.read_text() == BY_HAND  # the operator's own file stays
    says(agent, ended("make test"), "make plugin not available", "ended 127")
    wrapper.unlink()


# ---------------------------------------------------------------- mistakes


def test_an_image_without_its_tool_is_no_plugin(place: Place) -> None:
    told = place.fails("plugin", "add", "hollow")
    assert "error: The image of hollow has no hollow" in told
    assert "[hollow]" in told
    assert not place.home.policy_file("hollow").exists()
    assert "has no hollow" in place.fails("build", "hollow")


def test_a_tool_that_nobody_packages_is_no_plugin(place: Place) -> None:
    told = place.fails("plugin", "add", "no-such-tool")
    assert "Unable to locate package no-such-tool" in told
    assert "[no-such-tool]" in told
    assert not place.home.policy_file("no-such-tool").exists()


@pytest.mark.parametrize("name", ["git", "claude", "supervisor", "plugin-client", "git-gateway"])
def test_a_name_that_is_taken_is_refused(place: Place, name: str) -> None:
    told = place.fails("plugin", "add", name)
    assert "taken" in told or "already" in told


def test_a_policy_that_does_not_parse_is_refused(place: Place, tmp_path: Path) -> None:
    policy = tmp_path / "make.yaml"
    policy.write_text("plugin: make\nversion: 1\nrules: {blocked_subcommand: [deploy]}\n")
    told = place.fails("plugin", "add", "make", "--file", str(policy))
    assert "make.yaml:3" in told
    assert not place.home.policy_file("make").exists()
