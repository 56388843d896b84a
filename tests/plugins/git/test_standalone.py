"""Plugin and gateway without a supervisor, as compose.yaml starts them: real processes, a real remote."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from supervisor.assets import client_binary
from tests.plugins.git.box import DEFAULT_POLICY, IDENTITY
from tests.upstream import TOKEN, SmartHttp, free_port, native

WITHIN = 20.0


@dataclass
class Stack:
    """The processes, and the directories that would be their containers' mounts."""

    root: Path
    upstream: SmartHttp
    ports: tuple[int, int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.root / "w"

    @property
    def policy(self) -> Path:
        return self.root / "config" / "git.yaml"

    def options(self) -> list[str]:
        places = {
            "policies": "config", "sockets": "s", "state": "state", "workspace": "w", "doors": "doors",
            "pins": "pins/origins.json", "client": "cli/git",
        }  # fmt: skip
        named = [word for option, place in places.items() for word in (f"--{option}", str(self.root / place))]
        return [*named, "--name", "/home/somebody/project"]

    def pin(self) -> str:
        command = [sys.executable, "-m", "plugins.git.pin", *self.options()]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def start(self, name: str) -> None:
        module, more = {
            "git": ("plugins.base.standalone", ["git"]),
            "gateway": (
                "plugins.git.gateway.standalone",
                ["--listen", "127.0.0.1", "--ports", *map(str, self.ports)],
            ),
        }[name]
        secrets = {"CLAUDE_CONTAINER_CREDENTIALS": "GITHUB_TOKEN", "GITHUB_TOKEN": TOKEN}
        with (self.root / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *self.options(), *more], stderr=log,
                env={**os.environ, **(secrets if name == "gateway" else {})},
            )  # fmt: skip

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.02)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.root.glob("*.log")))

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / "cli" / "git"), *arguments], cwd=self.workspace, text=True, capture_output=True,
            timeout=40,
            env={**IDENTITY, "PATH": os.environ["PATH"], "PLUGIN_SOCKET_DIR": str(self.root / "s")},
        )  # fmt: skip

    def works(self) -> bool:
        return self.git("rev-parse", "HEAD").returncode == 0

    def records(self, plugin: str = "git") -> list[dict[str, object]]:
        log = self.root / "state" / plugin / "audit.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    client = client_binary()
    if client is None:
        pytest.skip("plugin-client is not built and there is no C compiler")
    root = Path(tempfile.mkdtemp(prefix="cc", dir="/tmp"))
    for name in ("config", "s", "state", "w", "doors", "pins", "cli"):
        (root / name).mkdir()
    shutil.copy(client, root / "cli" / "git")
    with SmartHttp(tmp_path) as upstream:
        upstream.create("private/p.git")
        stack = Stack(root, upstream, (free_port(), free_port()))
        here = str(stack.workspace)
        native("init", "-q", "-b", "main", here)
        native("-C", here, "commit", "-q", "--allow-empty", "-m", "First")
        native("-C", here, "push", "-q", upstream.authorized_url("private/p.git"), "main")
        native("-C", here, "remote", "add", "origin", upstream.url("private/p.git"))
        policy = DEFAULT_POLICY.read_text().replace("[github.com]", '["127.0.0.1"]')
        stack.policy.write_text(policy)
        stack.pin()
        try:
            yield stack
        finally:
            stack.end()
            shutil.rmtree(root, ignore_errors=True)


def test_a_branch_is_pushed_and_main_is_refused_with_nobody_to_ask(stack: Stack) -> None:
    stack.start("gateway")
    stack.start("git")
    stack.until(stack.works)
    assert stack.git("switch", "-q", "-c", "claude/topic").returncode == 0
    assert stack.git("commit", "-q", "--allow-empty", "-m", "Second").returncode == 0
    pushed = stack.git("push", "-q", "origin", "claude/topic")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    before = stack.upstream.refs("private/p.git")
    refused = stack.git("push", "origin", "HEAD:main")
    assert refused.returncode == 1
    assert "blocked_branches" in refused.stderr
    assert stack.upstream.refs("private/p.git") == before
    assert "refs/heads/claude/topic" in before
    assert TOKEN not in stack.logs()


def test_a_saved_policy_is_enforced_and_a_broken_one_changes_nothing(stack: Stack) -> None:
    stack.start("gateway")
    stack.start("git")
    stack.until(stack.works)
    good = stack.policy.read_text()
    stack.policy.write_text(good.replace("blocked_subcommands: [", "blocked_subcommands: [stash, "))
    stack.until(lambda: "blocked_subcommands" in stack.git("stash", "list").stderr)
    stack.policy.write_text("plugin: git\nversion: 1\nrules: {nonsense: 1}\n")
    stack.until(lambda: "the last good one stays" in stack.logs())
    assert "blocked_subcommands" in stack.git("stash", "list").stderr
    stack.policy.unlink()
    assert "blocked_subcommands" in stack.git("stash", "list").stderr
    assert stack.works()


def test_without_a_policy_nothing_runs(stack: Stack) -> None:
    stack.policy.unlink()
    stack.start("gateway")
    stack.start("git")
    stack.until(lambda: "no valid policy" in stack.git("status").stderr)


def test_every_decision_is_in_the_audit_log(stack: Stack) -> None:
    stack.start("gateway")
    stack.start("git")
    stack.until(stack.works)
    stack.git("config", "--global", "user.name", "x")
    stack.until(lambda: any(each.get("verdict") == "blocked" for each in stack.records()))
    stack.until(lambda: any("exit_code" in each for each in stack.records()))
    assert "blocked: git config --global user.name x" in stack.logs()


def test_the_plugin_waits_for_its_gateway_and_leaves_when_that_moved(stack: Stack) -> None:
    stack.start("git")
    stack.until(lambda: "Waiting for the gateway" in stack.logs())
    assert not (stack.root / "s" / "git.sock").exists()
    stack.start("gateway")
    stack.until(stack.works)
    stack.processes["gateway"].send_signal(signal.SIGTERM)
    assert stack.processes["gateway"].wait(WITHIN) == 0
    stack.ports = (free_port(), free_port())
    stack.start("gateway")
    assert stack.processes["git"].wait(WITHIN) == 0  # for the engine to start it again
    stack.start("git")
    stack.until(stack.works)
    assert stack.git("fetch", "-q", "origin").returncode == 0


def test_origin_is_pinned_once(stack: Stack) -> None:
    first = stack.pin()
    assert stack.upstream.url("private/p.git") in first
    native("-C", str(stack.workspace), "remote", "set-url", "origin", "https://evil.invalid/o/r.git")
    assert stack.pin() == first


def test_nothing_starts_without_a_pin(stack: Stack) -> None:
    (stack.root / "pins" / "origins.json").unlink()
    stack.start("gateway")
    assert stack.processes["gateway"].wait(WITHIN) == 1
    assert "plugins.git.pin" in stack.logs()
