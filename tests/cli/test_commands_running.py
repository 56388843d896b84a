"""The `claude-container` command with a supervisor, a plugin and the real git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor import daemon
from supervisor.home import Home
from supervisor.setup import prepare_home
from tests.cli.commands import Commands
from tests.supervisor.harness import scratch

NATIVE = {
    **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.invalid",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.invalid",
}  # fmt: skip


def git(*arguments: str | Path, cwd: Path) -> None:
    subprocess.run(["git", *arguments], cwd=cwd, env=NATIVE, check=True, capture_output=True)


class Site(Commands):
    """The command, and a project under it whose origin is a bare repository."""

    project: Path

    def agent(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a line of shell as the agent, with what `claude-container env` says."""
        return subprocess.run(
            ["/bin/sh", "-c", self("env").out + command], cwd=self.project, env=NATIVE,
            capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def installation() -> Iterator[tuple[Home, Path]]:
    """A home that is set up and a project in which nothing runs yet; what tests start ends with it."""
    with scratch() as (home, project):
        home.config.rmdir()
        prepare_home(home)
        upstream = project.with_name("upstream.git")
        git("init", "-q", "--bare", "-b", "main", upstream, cwd=project)
        git("init", "-q", "-b", "main", cwd=project)
        git("commit", "-q", "--allow-empty", "-m", "first", cwd=project)
        git("remote", "add", "origin", upstream, cwd=project)
        git("push", "-q", "origin", "main", cwd=project)
        try:
            yield home, project
        finally:
            daemon.stop(home)


@pytest.fixture
def site(
    installation: tuple[Home, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Site:
    """The installation, running: started by the first test that needs it, or after one that stopped it."""
    home, project = installation
    site = Site(home, monkeypatch, capsys)
    site.project = project
    started = site("start", "--runtime", "process", "--workspace", str(project))
    assert started.status == 0, started.err
    return site


def test_an_installation_from_start_to_stop(site: Site) -> None:
    status = site("status", "--json")
    assert status.status == 0
    assert status.json["workspace"] == str(site.project)
    assert {"git": "running"}.items() <= {
        each["name"]: each["state"] for each in status.json["plugins"]
    }.items()
    assert ["git", "running", "enforced"] in [line.split()[:3] for line in site("status").out.splitlines()]
    assert "git" in [plugin["name"] for plugin in site("plugin", "list", "--json").json]
    looked = site("doctor")
    assert looked.status == 0
    assert "· Agent: the network of its container is not limited, as plugins are processes" in looked.out
    assert "claude-gateway" not in site("status").out
    assert site("stop").out == "Stopped.\n"
    assert site("status").status == 1


def test_the_client_knows_the_plugin(site: Site) -> None:
    assert site.agent("plugin-client --list").stdout == "git\n"
    assert site.agent("plugin-client --health git").stdout == "ok\n"
    assert '"tool": "git"' in site.agent("plugin-client --capabilities git").stdout


def test_the_agents_own_editor_and_hook_run_on_its_side(site: Site) -> None:
    hook = site.project / ".git" / "hooks" / "post-commit"
    hook.write_text('#!/bin/sh\necho "hook with $ONLY_HERE" >&2\n', encoding="utf-8")
    hook.chmod(0o755)
    editor = """GIT_EDITOR="sh -c 'echo by \\$ONLY_HERE >\\$1' editor" """
    done = site.agent(
        f"export ONLY_HERE=agent; {editor} git commit -q --allow-empty && git log -1 --format=%s"
    )
    assert (done.returncode, done.stdout) == (0, "by agent\n"), done.stderr
    assert done.stderr == "hook with agent\n"


def test_a_request_is_listed_shown_and_approved(site: Site) -> None:
    push = "git commit -q --allow-empty -m second; git push -q origin HEAD:main"
    assert site.agent(push).returncode == 1
    (request,) = site("approvals", "list", "--json").json
    assert request["id"] in site("approvals", "list").out
    shown = site("approvals", "show", request["id"])
    assert "refs/heads/main" in shown.out
    assert "second" in shown.out
    assert "the next try passes" in site("approvals", "approve", request["id"]).out
    again = site.agent("git push -q origin HEAD:main")
    assert again.returncode == 0, again.stderr
    assert site("approvals", "list").out == "Nothing waits for an answer.\n"
    assert site("audit", "verify").status == 0


def test_a_denied_request_stays_refused(site: Site) -> None:
    push = "git push origin HEAD:production"
    assert site.agent(push).returncode == 1
    (request,) = site("approvals", "list", "--json").json
    assert site("approvals", "deny", request["id"], "not today").status == 0
    refused = site.agent(push)
    assert refused.returncode == 1
    site.fails("approvals", "approve", "nonsense")


def test_lockdown_refuses_everything_until_lifted(site: Site) -> None:
    assert site("lockdown", "off").status == 2  # not a message for the agent
    assert site("lockdown", "Back at noon.").status == 0
    refused = site.agent("git status")
    assert refused.returncode != 0
    assert "Back at noon." in refused.stderr
    assert "LOCKDOWN" in site("status").out
    assert site("lockdown", "--off").status == 0
    assert site.agent("git status").returncode == 0


def test_a_second_tool_comes_and_goes(site: Site) -> None:
    assert site("plugin", "add", "ls", "--block", "--all").status == 0
    assert site.agent("ls -a .git/refs").stdout.split() == [".", "..", "heads", "remotes", "tags"]
    assert site.agent("ls --all").returncode != 0
    assert site("plugin", "restart", "ls").status == 0
    assert site("plugin", "remove", "ls").status == 0
    assert not (site.home.cli / "ls").exists()


def test_always_changes_the_policy_and_the_retry_passes(site: Site) -> None:
    policy = site.home.policy_file("git")
    before = policy.read_text(encoding="utf-8")
    push = "git push -q origin HEAD:refs/heads/release/1.0"
    assert site.agent(push).returncode != 0
    (request,) = [each for each in site("approvals", "list", "--json").json if "release/1.0" in str(each)]
    assert "Give either" in site("approvals", "approve", request["id"], "--always", "--minutes", "3").err
    done = site("approvals", "approve", request["id"], "--always", "--yes")
    assert done.status == 0, done.err
    assert "-  blocked_branches: [main, master, release/*, production]" in done.out.splitlines()
    assert site("approvals", "show", request["id"], "--json").json["mode"] == "always"
    assert site.agent(push).returncode == 0
    history = site("policy", "history", "git", "--json").json
    assert site("policy", "rollback", "git", history[1]["hash"]).status == 0
    assert policy.read_text(encoding="utf-8") == before
