"""`docker compose up` alone: compose.yaml from a fresh clone, a real remote, an agent who tries things."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from supervisor.containers.engine import Engine
from supervisor.containers.names import AGENT, image
from tests.docker.node import NODE, make_node
from tests.e2e.ground import REPOSITORY, UID, Ground, ground, until
from tests.e2e.look import (
    LOOK,
    Seen,
    assert_hardened,
    assert_no_privileges,
    assert_of_a_plugin,
    assert_of_an_agent,
    assert_planted,
    seen,
)  # fmt: skip
from tests.e2e.planted import WAYS, Way, looked, looked_by_a_hook, planting, processes
from tests.engine import BASE, PATIENCE, ROOT, engine_or_skip, images_or_skip
from tests.plugins.git.box import IDENTITY
from tests.upstream import TOKEN

pytestmark = [pytest.mark.timeout(PATIENCE), pytest.mark.xdist_group("compose")]
SERVICES = ("git-plugin", "git-gateway")


@dataclass
class Stack:
    """The clone, the project of compose, and an agent in its container."""

    ground: Ground
    engine: Engine
    version: str
    agent: str = ""
    more: dict[str, str] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.ground.root / "checkout"

    @property
    def name(self) -> str:
        return self.ground.root.name

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.ground.root), "DOCKER_HOST": self.engine.url,
            "COMPOSE_PROJECT_NAME": self.name, "COMPOSE_FILE": "compose.yaml:images.yaml",
            "PLUGIN_BASE": BASE, "AGENT_BASE": BASE, "NPM_BASE": NODE, "GITHUB_TOKEN": TOKEN,
            "ANTHROPIC_API_KEY": "its-own-key", **self.more,
        }  # fmt: skip

    def run(self, *command: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.checkout, env=self.environment(), text=True, capture_output=True,
            timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def compose(self, *arguments: str) -> str:
        done = self.run("docker-compose", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inside(self, container: str, *command: str) -> subprocess.CompletedProcess[str]:
        given = [word for key, value in IDENTITY.items() for word in ("-e", f"{key}={value}")]
        return self.run("docker", "exec", *given, container, *command)

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.inside(self.agent, "git", *arguments)

    def works(self) -> bool:
        return self.git("rev-parse", "HEAD").returncode == 0

    def container(self, service: str) -> str:
        return f"{self.name}_{service}_1"

    def logs(self) -> str:
        return self.run("docker-compose", "logs", "--no-color").stdout

    def records(self) -> list[dict[str, object]]:
        log = self.ground.home / "run" / "compose" / "git" / "git" / "audit.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def pid(self, service: str) -> int:
        return int(self.engine.api.inspect_container(self.container(service))["State"]["Pid"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if not shutil.which("docker-compose"):
        pytest.skip("docker-compose is not installed (apt install docker-compose)")
    if os.geteuid() != 0:
        pytest.skip("the files of the containers' user can only be made by root")
    engine = engine_or_skip()
    version = images_or_skip(engine, "git", AGENT)
    with ground(engine) as made:
        stack = Stack(made, engine, version)
        _clone(stack)
        _install(stack)
        try:
            stack.compose("build", "git-plugin")  # whose image the others have, too
            stack.compose("up", "-d")
            _start_agent(stack)
            yield stack
        finally:
            stack.run("docker-compose", "kill")
            stack.run("docker", "rm", "-f", f"{stack.name}-agent")
            stack.run("docker-compose", "down", "--volumes", "--remove-orphans")
            stack.run("docker", "rmi", *(image(tool, stack.name) for tool in ("git", "npm")))


def _clone(stack: Stack) -> None:
    """What `git clone` gives. Images get names of their own; the agent's is the one without Claude Code."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (stack.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, stack.checkout / name)
    tags = {name: {"image": image("git", stack.name)} for name in ("pin", *SERVICES, "claude-gateway")}
    tags |= {
        "npm-plugin": {"image": image("npm", stack.name)},
        "npm-gateway": {"image": image("npm", stack.name)},
        "claude": {"image": image(AGENT, stack.version)},
    }
    (stack.checkout / "images.yaml").write_text(yaml.safe_dump({"services": tags}))


def _install(stack: Stack) -> None:
    """As the README says; then all of it is given to an ordinary user, whom root stood in for."""
    stack.more = {
        "CLAUDE_CONTAINER": str(ROOT / ".venv" / "bin" / "claude-container"),
        "CLAUDE_HOME": str(stack.ground.home), "WORKSPACE": str(stack.ground.workspace),
    }  # fmt: skip
    done = stack.run("sh", "scripts/install.sh")
    assert done.returncode == 0, done.stderr
    stack.more = {}
    settings = stack.checkout / ".env"
    text = settings.read_text()
    settings.write_text(text.replace("UID='0'", f"UID='{UID}'").replace("GID='0'", f"GID='{UID}'"))
    stack.ground.allow_the_token_here()
    stack.ground.give_away()


def _start_agent(stack: Stack) -> None:
    stack.compose("run", "-d", "--name", f"{stack.name}-agent", "claude", "sleep", "infinity")
    stack.agent = f"{stack.name}-agent"
    until(stack.works, stack.logs)


def look(stack: Stack, container: str) -> Seen:
    """From a container, whatever runs in it otherwise."""
    return seen(stack.inside(container, "bash", "-c", script(stack)).stdout)


def script(stack: Stack) -> str:
    head, rest = LOOK.split("\n", 1)
    return f"{head}\nTARGETS='{' '.join(targets(stack))}'\n{rest}"


def targets(stack: Stack) -> list[str]:
    """Gateway and plugin on each network, the remote, and the world."""
    found = [f"{stack.ground.upstream.host}:{stack.ground.upstream.port}", "1.1.1.1:443"]
    return [*found, *(f"{address}:8417" for service in SERVICES for address in addresses(stack, service))]


def addresses(stack: Stack, service: str) -> list[str]:
    networks = stack.engine.api.inspect_container(stack.container(service))["NetworkSettings"]["Networks"]
    return [str(facts["IPAddress"]) for facts in networks.values()]


def test_the_agent_pushes_its_branch_and_is_refused_on_main(stack: Stack) -> None:
    before = stack.ground.refs()
    assert stack.git("switch", "-q", "-c", "claude/topic").returncode == 0
    assert stack.git("commit", "-q", "--allow-empty", "-m", "Second").returncode == 0
    pushed = stack.git("push", "-q", "origin", "claude/topic")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    refused = stack.git("push", "origin", "HEAD:main")
    assert refused.returncode == 1
    assert "blocked_branches" in refused.stderr
    after = stack.ground.refs()
    assert after.pop("refs/heads/claude/topic") == stack.git("rev-parse", "HEAD").stdout.strip()
    assert after == before


def test_what_goes_around_the_rules_is_refused_by_the_gateway(stack: Stack) -> None:
    """The agent writes what it likes into .git; the wire tells."""
    before = stack.ground.refs()
    stack.git("commit", "-q", "--allow-empty", "-m", "Third")
    stack.ground.write("helper", "#!/bin/sh\nexec git push --no-verify origin HEAD:refs/heads/main\n")
    config = stack.ground.workspace / ".git" / "config"
    kept = config.read_text()
    config.write_text(kept + "[core]\n\tfsmonitor = /workspace/helper >/workspace/said 2>&1\n")
    stack.git("status")
    config.write_text(kept)
    assert stack.ground.refs() == before
    said = (stack.ground.workspace / "said").read_text()
    assert "! [remote rejected] HEAD -> main" in said or "protected" in said, said


CONNECT = """p=${HTTPS_PROXY#http://}; a=${p#*@}; u=$(printf %s "${p%@*}" | base64 -w0)
exec 3<>/dev/tcp/${a%:*}/${a#*:}
printf 'CONNECT %s HTTP/1.1\r\nProxy-Authorization: Basic %s\r\n\r\n' "$1" "$u" >&3
read -r line <&3 && echo "$line"
"""


def test_the_agent_connects_to_what_its_policy_names(stack: Stack) -> None:
    host = f"{stack.ground.upstream.host}:{stack.ground.upstream.port}"
    policy = stack.ground.home / "config" / "claude.yaml"

    def answer() -> str:
        return stack.inside(stack.agent, "bash", "-c", CONNECT, "bash", host).stdout

    assert answer().startswith("HTTP/1.1 403 ")
    policy.write_text(f'plugin: claude\nversion: 1\nnetwork: {{allow: ["{host}"]}}\n')
    until(lambda: answer().startswith("HTTP/1.1 200 "), stack.logs)


def test_compose_run_gives_the_agent_a_container_of_its_own(stack: Stack) -> None:
    done = stack.run(
        "docker-compose", "run", "--rm", "-T", "claude", "sh", "-c", "id -u && git --version && pwd"
    )
    assert done.returncode == 0, done.stderr
    uid, version, here = done.stdout.split("\n")[:3]
    assert (uid, version[:12], here) == (str(UID), "git version ", "/workspace")


def test_a_tool_added_by_hand_works_without_a_restart(stack: Stack) -> None:
    """By what docs/compose.md says to type."""
    make_node()
    said = (ROOT / "docs" / "compose.md").read_text().partition("## A tool by hand")[2]
    typed = said.partition("```sh\n")[2].partition("```")[0]
    files, _, up = typed.replace("~/.claude-container", str(stack.ground.home)).rpartition("docker compose ")
    assert stack.run("sh", "-euc", files).returncode == 0
    missing = stack.inside(stack.agent, "npm", "--version")
    assert (missing.returncode, missing.stderr) == (127, "error: npm plugin not available\n")
    stack.compose(*up.split())
    until(lambda: stack.inside(stack.agent, "npm", "--version").returncode == 0, stack.logs)
    stack.ground.write("package.json", '{"name": "x", "version": "1.0.0", "scripts": {"hi": "echo in $PWD"}}')
    assert "in /workspace" in stack.inside(stack.agent, "npm", "run", "hi").stdout
    refused = stack.inside(stack.agent, "npm", "publish")
    assert refused.returncode == 1
    assert "blocked_subcommands" in refused.stderr
    _npm_connects(stack)
    stack.compose("rm", "-sf", "npm-plugin", "npm-gateway")
    gone = stack.inside(stack.agent, "npm", "--version")
    assert (gone.returncode, gone.stderr) == (127, "error: npm plugin not available\n")


def _npm_connects(stack: Stack) -> None:
    """To what its policy names, as soon as it does."""
    host = f"{stack.ground.upstream.host}:{stack.ground.upstream.port}"
    stack.ground.write("connect.sh", CONNECT)
    script = f"bash connect.sh {host}"
    stack.ground.write(
        "package.json", json.dumps({"name": "x", "version": "1.0.0", "scripts": {"ask": script}})
    )

    def answer() -> str:
        return stack.inside(stack.agent, "npm", "run", "-s", "ask").stdout

    assert answer().startswith("HTTP/1.1 403 ")
    policy = stack.ground.home / "config" / "npm.yaml"
    policy.write_text(policy.read_text() + f'network: {{allow: ["{host}"]}}\n')
    until(lambda: answer().startswith("HTTP/1.1 200 "), stack.logs)


def test_a_saved_policy_is_followed_and_a_broken_one_changes_nothing(stack: Stack) -> None:
    policy, good = stack.ground.policy, stack.ground.policy.read_text()
    policy.write_text(good.replace("blocked_subcommands: [", "blocked_subcommands: [stash, "))
    until(lambda: "blocked_subcommands" in stack.git("stash", "list").stderr, stack.logs)
    policy.write_text("plugin: git\nversion: 1\nrules: {nonsense: 1}\n")
    until(lambda: "the last good one stays" in stack.logs(), stack.logs)
    assert "blocked_subcommands" in stack.git("stash", "list").stderr
    policy.write_text(good)
    until(lambda: stack.git("stash", "list").returncode == 0, stack.logs)


def test_every_decision_is_written_down(stack: Stack) -> None:
    stack.git("config", "--global", "user.name", "x")
    until(
        lambda: any(each.get("args") == ["config", "--global", "user.name", "x"] for each in stack.records())
    )
    assert "blocked: git config --global user.name x" in stack.logs()
    assert TOKEN not in json.dumps(stack.records()) + stack.logs()


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_killed_comes_back(stack: Stack, service: str) -> None:
    before = len(stack.records())
    old = stack.pid(service)
    os.kill(old, signal.SIGKILL)
    until(lambda: stack.pid(service) not in (0, old), stack.logs)
    until(stack.works, stack.logs)
    until(lambda: stack.git("fetch", "-q", "origin").returncode == 0, stack.logs)
    until(lambda: len(stack.records()) > before)
    identities = [each["id"] for each in stack.records() if "verdict" in each]
    assert len(set(identities)) == len(identities)


def test_the_agent_has_its_work_and_the_plugins_sockets(stack: Stack) -> None:
    found = look(stack, stack.agent)
    assert_of_an_agent(found, UID)


def test_the_plugins_container_has_the_workspace_and_its_gateway(stack: Stack) -> None:
    found = look(stack, stack.container("git-plugin"))
    assert_of_a_plugin(found, UID, doors(stack))


def test_the_gateways_container_has_no_workspace(stack: Stack) -> None:
    """A process that the engine puts there gets its environment; what the gateway has, nobody reads."""
    found = look(stack, stack.container("git-gateway"))
    assert_hardened(found)
    assert set(found["writable"]) == {"/tmp", "/run/doors", "/var/lib/claude-container"}
    assert "cat: /proc/1/environ: Permission denied" in found["environ"]
    assert not any(line.startswith("/workspace ") for line in found["mounts"])


def doors(stack: Stack) -> set[str]:
    """Where the gateway listens: on the plugin's network alone."""
    said = json.loads((stack.ground.home / "run" / "compose" / "doors" / "git.json").read_text())
    return {said["gateway"].removeprefix("http://").split("/")[0]}


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
def test_planted_code_has_the_workspace_and_its_gateway(stack: Stack, way: Way) -> None:
    assert_planted(looked(stack.ground, script(stack), stack.git, way), UID, doors(stack))


def test_a_hook_of_the_repository_has_what_the_agent_has(stack: Stack) -> None:
    """It runs on the agent's side, where its toolchain is."""
    found = looked_by_a_hook(stack.ground, script(stack), stack.git)
    assert_of_an_agent(found, UID, "git", "/bin/sh", "/bin/bash")


def test_planted_code_has_no_privileges(stack: Stack) -> None:
    """Seen from the host: inside, /proc is out of reach."""
    with planting(stack.ground, "exec sleep 54321"):
        adding = ["docker", "exec", stack.agent, "git", "add", "x.look"]
        waiting = subprocess.Popen(adding, env=stack.environment(), stderr=subprocess.DEVNULL)
        until(lambda: processes("sleep", "54321") != [])
        (found,) = processes("sleep", "54321")
        status = (found / "status").read_text()
        os.kill(int(found.name), signal.SIGKILL)
        waiting.wait()
    assert_no_privileges(status)


def test_the_token_is_in_the_gateways_settings_alone(stack: Stack) -> None:
    """Whoever may use the engine's socket may read it there (see SECURITY.md); nobody else is told."""
    given = {
        service: TOKEN in json.dumps(stack.engine.api.inspect_container(stack.container(service)))
        for service in ("pin", *SERVICES)
    }
    assert given == {"pin": False, "git-plugin": False, "git-gateway": True}
    assert TOKEN not in json.dumps(stack.engine.api.inspect_container(stack.agent))


def test_the_remote_was_given_the_token(stack: Stack) -> None:
    assert f"/git/{REPOSITORY}/git-receive-pack 200 Basic" in stack.ground.upstream.log()
