"""plugin-client carrying git's protocol to the gateway (`--connect`)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fake_plugin import PATIENCE, Agent, end_of


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """The gateway's address, where nobody listens yet."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(PATIENCE)
        yield listener


def environment(agent: Agent, door: socket.socket) -> dict[str, str]:
    return agent.environment(
        CLAUDE_CONTAINER_STREAM=f"127.0.0.1:{door.getsockname()[1]}",
        CLAUDE_CONTAINER_GATEWAY="http://127.0.0.1:1/capability", CLAUDE_CONTAINER_COMMAND="c1",
    )  # fmt: skip


def state_of(pid: int) -> str:
    """One letter: see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_gateway_that_is_just_being_started_is_waited_for(agent: Agent, door: socket.socket) -> None:
    what = ("--connect", "git-upload-pack", "file", "a/../b")
    process = agent.start("plugin-client", *what, env=environment(agent, door))
    while state_of(process.pid) not in "SZ":  # asleep after a refused attempt, or at its end without another
        pass
    door.listen()
    connection, _ = door.accept()
    with connection:
        assert connection.makefile("rb").readline() == b"capability c1 git-upload-pack file b\n"
        connection.sendall(b"hello")
    end = end_of(process)
    assert (end.status, end.stdout) == (0, b"hello")


def test_git_s_own_helper_can_wait_for_it_too(agent: Agent, door: socket.socket) -> None:
    process = agent.start("plugin-client", "--await-gateway", env=environment(agent, door))
    while state_of(process.pid) not in "SZ":
        pass
    door.listen()
    connection, _ = door.accept()
    with connection:
        assert connection.recv(1) == b""
    assert end_of(process).status == 0
