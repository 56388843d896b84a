"""cc-tui in a real terminal, on a real supervisor."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.home import Home
from tests.e2e.tmux import Terminal

pytestmark = [
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
    pytest.mark.timeout(180),
]
CC_TUI = Path(sys.executable).with_name("cc-tui")
CLAUDE_CONTAINER = Path(sys.executable).with_name("claude-container")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Short, as paths of sockets must be."""
    path = Path(tempfile.mkdtemp(prefix="cc-e2e-", dir="/tmp")).resolve()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def project(scratch: Path) -> Path:
    path = scratch / "project"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(path)], check=True)
    return path


def tui(scratch: Path, project: Path) -> str:
    home = ["--home", str(scratch / "home")]
    return shlex.join([str(CC_TUI), *home, "--workspace", str(project), "--runtime", "process"])


def container(scratch: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(CLAUDE_CONTAINER), "--home", str(scratch / "home"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def assert_restored(terminal: Terminal) -> None:
    """The shell's screen is back, with a cursor, and the mouse is the terminal's again."""
    assert terminal.flag("alternate_on") == "0"
    assert terminal.flag("mouse_any_flag") == "0"
    assert terminal.flag("cursor_flag") == "1"


def test_attached_to_a_supervisor_it_shows_every_screen_and_leaves_it_running(
    scratch: Path, project: Path
) -> None:
    started = container(scratch, "start", "--runtime", "process", "--workspace", str(project))
    assert started.returncode == 0, started.stderr
    try:
        with Terminal(scratch) as terminal:
            terminal.line(f"{tui(scratch, project)}; echo left=$?")
            terminal.sees("● running")
            for key, text in (
                ("2", "No requests."), ("3", "rows"), ("4", "git.yaml"), ("5", "following"),
                ("1", "Latest blocked"), ("?", "On Dashboard"),
            ):  # fmt: skip
                terminal.type(key)
                terminal.sees(text)
            terminal.type("Escape")
            terminal.until(lambda: "On Dashboard" not in terminal.text, "the end of help")
            terminal.type("q")
            terminal.sees("left=0")
            assert_restored(terminal)
        assert container(scratch, "status").returncode == 0
    finally:
        container(scratch, "stop")


def test_a_blocked_command_waits_for_the_operator_and_is_denied_with_a_reason(
    scratch: Path, project: Path
) -> None:
    home = Home(scratch / "home")
    upstream = scratch / "upstream.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(upstream)], check=True)
    subprocess.run(["git", "-C", str(project), "remote", "add", "origin", str(upstream)], check=True)
    identity = ["-c", "user.name=A", "-c", "user.email=a@demo.invalid"]
    commit = ["git", "-C", str(project), *identity, "commit", "--quiet", "--allow-empty", "-m", "First"]
    subprocess.run(commit, check=True)
    with Terminal(scratch, columns=120, rows=40) as terminal:
        terminal.line(f"{tui(scratch, project)}; echo left=$?")
        terminal.until(lambda: terminal.text.count("● running") == 2, "the plugin and its gateway running")
        with subprocess.Popen(
            [str(home.cli / "git"), "push", "origin", "main"], cwd=project, stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "PLUGIN_SOCKET_DIR": str(home.sockets)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as agent:  # fmt: skip
            try:
                terminal.sees("Waiting for you: 1 request")
                terminal.type("d")
                terminal.sees("Why?")
                terminal.line("please use a branch")
                _, stderr = agent.communicate(timeout=30)
            finally:
                agent.kill()
        assert agent.returncode != 0
        assert "please use a branch" in stderr
        terminal.sees("✖ denied")
        terminal.until(lambda: "1 request" not in terminal.text, "nothing that waits any more")
        terminal.type("q")
        terminal.sees("left=0")
        assert_restored(terminal)
    assert container(scratch, "status").returncode != 0, "the embedded supervisor ended with the desk"
