"""`claude-container run`, with a real engine: what the agent's container is, and that it feels like none."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.containers.names import AGENT
from tests.docker.place import KEY, Place, new_place, until
from tests.engine import give_images

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("agent-container")]
CTRL_C, CTRL_D, CTRL_P, CTRL_Q = b"\x03", b"\x04", b"\x10", b"\x11"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """With the plugins as processes: the agent's container does not care."""
    with new_place(AGENT, "git") as place:
        subprocess.run(["git", "init", "-q", str(place.workspace)], check=True)
        place.does("init")
        place.does("start", "--runtime", "process", "--workspace", str(place.workspace))
        give_images(place.engine, place.home, AGENT)
        yield place


# ---------------------------------------------------------------- what the agent has


def test_the_agent_has_the_workspace_and_the_wrappers(place: Place) -> None:
    (place.workspace / "file").write_text("from outside\n")
    told = place.agent("sh", "-c", "cat file; echo inside >made; command -v git; git status --short")
    assert told == "from outside\n/opt/claude-container/cli/git\n?? file\n?? made\n"
    made = (place.workspace / "made").stat()
    assert (made.st_uid, made.st_gid) == (os.getuid(), os.getgid())


def test_the_agent_can_write_nothing_but_the_workspace_and_its_own_home(place: Place) -> None:
    paths = ("/usr/x", "/opt/claude-container/cli/x", "/run/plugins/x", "/etc/x", "/x")
    done = place.call("run", "--", "touch", *paths)
    assert done.returncode != 0
    refused = done.stderr.decode().splitlines()
    assert [line.rpartition(": ")[2] for line in refused] == ["Read-only file system"] * len(paths)
    assert place.agent("sh", "-c", "touch ~/x /tmp/x && echo fine") == "fine\n"


def test_the_agent_has_no_privilege(place: Place) -> None:
    status = dict(line.split(":\t", 1) for line in place.agent("cat", "/proc/self/status").splitlines())
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_the_agent_gets_its_own_key_and_nobody_elses(place: Place) -> None:
    told = place.agent(
        "env", ANTHROPIC_API_KEY=KEY, GITHUB_TOKEN="canary", GIT_AUTHOR_NAME="Ada", SECRET="canary"
    )
    assert f"ANTHROPIC_API_KEY={KEY}" in told
    assert "GIT_AUTHOR_NAME=Ada" in told
    assert "canary" not in told.replace(KEY, "")


def test_the_agent_starts_where_the_user_is(place: Place) -> None:
    below = place.workspace / "below"
    below.mkdir()
    assert place.feed(b"", "run", "--", "pwd", cwd=below).stdout.decode() == f"{below}\n"
    assert place.feed(b"", "run", "--", "pwd", cwd=Path("/")).stdout.decode() == f"{place.workspace}\n"


# ---------------------------------------------------------------- as native


@pytest.mark.parametrize(("script", "status"), [("exit 42", 42), ("kill -9 $$", 137), ("true", 0)])
def test_it_ends_as_the_command_does(place: Place, script: str, status: int) -> None:
    assert place.call("run", "--", "sh", "-c", script).returncode == status


def test_pipes_carry_any_bytes_both_ways(place: Place) -> None:
    data = os.urandom(8 * 1024 * 1024)
    done = place.feed(data, "run", "--", "cat")
    assert done.stdout == data
    assert done.stderr == b""


def test_stdout_and_stderr_stay_apart(place: Place) -> None:
    done = place.call("run", "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_it_ends_when_nobody_reads_any_more(place: Place) -> None:
    with place.begin("run", "--", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(60) == 128 + signal.SIGPIPE


def test_a_terminal_is_a_terminal(place: Place) -> None:
    with place.terminal("bash", "--norc", rows=33, columns=99) as terminal:
        terminal.sees(b"bash-")
        terminal.type(b"stty size; tty\n")
        terminal.sees(b"33 99\r\n")
        terminal.sees(b"/dev/pts/0")
        terminal.type(b"(trap 'echo inter''rupted; exit' INT; echo be''gun; while :; do sleep 0.1; done)\n")
        terminal.sees(b"begun")
        terminal.type(CTRL_C)
        terminal.sees(b"interrupted")
        terminal.type(b"echo star''ted; cat -v\n")
        terminal.sees(b"started")
        terminal.type(CTRL_P)
        terminal.sees(b"^P")
        terminal.type(CTRL_Q + CTRL_P + CTRL_Q + b"still here\n")
        terminal.sees(b"still here")
        terminal.type(CTRL_D)
        terminal.resize(44, 88)
        terminal.type(b"until test \"$(stty size)\" = '44 88'; do :; done; echo resi''zed\n")
        terminal.sees(b"resized")
        terminal.type(b"exit 7\n")
        assert terminal.process.wait(60) == 7


def test_signals_are_passed_on(place: Place) -> None:
    script = "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    with place.begin("run", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.stdout.readline() == b"told\n"
        assert process.wait(60) == 3


# ---------------------------------------------------------------- nothing stays


def test_a_container_goes_with_its_command_and_its_network_with_the_last_one(place: Place) -> None:
    with place.begin("run", "--", "sh", "-c", "echo ready; read line", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        place.agent("true")
        assert (len(place.agents_containers()), len(place.networks())) == (1, 1)
        process.communicate(b"\n", timeout=60)
    assert (place.agents_containers(), place.networks()) == ([], [])


def test_a_container_goes_when_its_command_is_killed(place: Place) -> None:
    with place.begin("run", "--", "sh", "-c", "echo ready; sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(place.agents_containers()) == 1
        process.kill()
    until(lambda: not place.agents_containers(), "the container of a killed command is gone")
    until(lambda: not place.networks(), "the network, too")


def test_a_container_goes_with_its_terminal(place: Place) -> None:
    with place.terminal("sh", "-c", "trap '' HUP; echo ready; while :; do sleep 0.1; done") as terminal:
        terminal.sees(b"ready")
        terminal.hang_up()
        terminal.process.wait(60)
    assert place.agents_containers() == []


# ---------------------------------------------------------------- what is missing


def test_claude_needs_a_key(place: Place) -> None:
    told = place.fails("run")
    assert "Claude Code has no key" in told
    assert "export ANTHROPIC_API_KEY" in told


def test_without_an_engine_it_says_so(place: Place, tmp_path: Path) -> None:
    told = place.fails("run", "--", "true", DOCKER_HOST=f"unix://{tmp_path}/none")
    assert "There is no container engine" in told


def test_without_a_supervisor_it_says_so() -> None:
    with new_place() as place:
        assert "claude-container start" in place.fails("run", "--", "true")
