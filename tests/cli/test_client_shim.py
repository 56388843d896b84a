"""plugin-client within a running command: hooks, and programs for the agent's side."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.fake_plugin import PATIENCE, Agent, End, Peer, end_of, framed


class Channel:
    """The server's end of the channel that a command inherits."""

    def __init__(self) -> None:
        self.server, self.command = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server.settimeout(PATIENCE)

    def start(self, agent: Agent, *arguments: str | bytes, **more: str) -> subprocess.Popen[bytes]:
        environment = agent.environment(CLAUDE_CONTAINER_CHANNEL=str(self.command.fileno()), **more)
        return agent.start(
            "plugin-client", *arguments, env=environment, pass_fds=(self.command.fileno(),)
        )  # fmt: skip

    def accept(self) -> Peer:
        data, fds, _, _ = socket.recv_fds(self.server, 16, 4)
        assert len(data) == 1
        (conversation,) = fds
        return Peer(socket.socket(fileno=conversation))

    def close(self) -> None:
        self.server.close()
        self.command.close()


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    yield channel
    channel.close()


def test_a_hook_is_asked_about(agent: Agent, channel: Channel) -> None:
    process = channel.start(agent, "--hook", "pre-push", "origin", b"\xff", GIT_DIR=".git")
    assert process.stdin is not None
    process.stdin.write(b"refs/heads/a 1 refs/heads/\xfe 0\n")
    process.stdin.close()
    process.stdin = None
    with channel.accept() as peer:
        question = peer.receive()
        assert question.pop("env")["GIT_DIR"] == ".git"
        assert question == {
            "action": "hook", "name": "pre-push", "args": ["origin", "\udcff"], "cwd": str(agent.work),
            "stdin": "refs/heads/a 1 refs/heads/\udcfe 0\n",
        }  # fmt: skip
        peer.send({"exit_code": 1, "stderr": "remote: no \udcfe\n"})
    assert end_of(process) == End(1, b"", b"remote: no \xfe\n")


@pytest.mark.parametrize("name", ["commit-msg", "post-rewrite", "reference-transaction", "pre-receive"])
def test_a_hook_with_input_is_asked_about_with_it(agent: Agent, channel: Channel, name: str) -> None:
    process = channel.start(agent, "--hook", name)
    assert process.stdin is not None
    process.stdin.write(b"input\n")
    process.stdin.close()
    process.stdin = None
    with channel.accept() as peer:
        assert peer.receive()["stdin"] == "input\n"
        peer.send({"exit_code": 0, "stderr": ""})
    assert end_of(process) == End(0, b"", b"")


def test_a_hook_without_input_does_not_wait_for_any(agent: Agent, channel: Channel) -> None:
    process = channel.start(agent, "--hook", "pre-commit")  # its stdin stays open
    with channel.accept() as peer:
        assert peer.receive()["stdin"] == ""
        peer.send({"exit_code": 0})
    assert end_of(process) == End(0, b"", b"")


def test_a_hook_with_too_much_input_fails(agent: Agent, channel: Channel) -> None:
    process = channel.start(agent, "--hook", "pre-push")
    end = end_of(process, b"x" * (4 * 1024 * 1024 + 1))
    assert end.status == 1
    assert end.stderr.startswith(b"error: the pre-push hook got more than 4 MiB to read\n")


def test_four_megabytes_of_input_are_fine(agent: Agent, channel: Channel) -> None:
    with (agent.work / "input").open("w+b") as file:
        file.write(b"x" * 4 * 1024 * 1024)
        file.seek(0)
        environment = agent.environment(CLAUDE_CONTAINER_CHANNEL=str(channel.command.fileno()))
        process = agent.start(
            "plugin-client",
            "--hook",
            "pre-push",
            env=environment,
            stdin=file,
            pass_fds=(channel.command.fileno(),),
        )
    with channel.accept() as peer:
        assert len(peer.receive()["stdin"]) == 4 * 1024 * 1024
        peer.send({"exit_code": 0})
    assert end_of(process).status == 0


def test_a_program_for_the_agents_side_is_asked_for(agent: Agent, channel: Channel) -> None:
    process = channel.start(agent, "--run", "vi", "-n", b"\xff")
    with channel.accept() as peer:
        question = peer.receive()
        assert (question["action"], question["args"]) == ("run", ["vi", "-n", "\udcff"])
        assert question["cwd"] == str(agent.work)
        assert len(peer.fds) == 3
        os.write(peer.fds[1], b"on the screen")
        peer.send({"exit_code": 42})
    assert end_of(process) == End(42, b"on the screen", b"")


@pytest.mark.parametrize("value", ["", "-1", "2", "999", "3x", "99999999999999999999", "0"])
@pytest.mark.parametrize("mode", ["--hook", "--run"])
def test_without_a_channel_it_fails(agent: Agent, mode: str, value: str) -> None:
    process = agent.start(
        "plugin-client", mode, "pre-commit", env=agent.environment(CLAUDE_CONTAINER_CHANNEL=value)
    )
    end = end_of(process)
    assert end.status == 1
    assert end.stderr.startswith(b"error: there is no plugin to talk to")


def test_a_channel_of_another_kind_is_none(agent: Agent, channel: Channel) -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with left, right:
        environment = agent.environment(CLAUDE_CONTAINER_CHANNEL=str(right.fileno()))
        process = agent.start(
            "plugin-client", "--hook", "pre-commit", env=environment, pass_fds=(right.fileno(),)
        )
        assert end_of(process).status == 1


def test_a_server_that_is_gone_fails_the_hook(agent: Agent, channel: Channel) -> None:
    channel.server.close()
    end = end_of(channel.start(agent, "--hook", "pre-commit"))
    assert (end.status, end.stderr) == (1, b"error: the plugin is gone: Broken pipe\n")


NO_ANSWERS = [
    b"", b"\0\0", b"\xff\xff\xff\xff", framed(b"{}"), framed(b"[1]"), framed(b'{"exit_code":0'),
    framed(b'{"exit_code":256}'), framed(b'{"exit_code":-1}'), framed(b'{"exit_code":true}'),
    framed(b'{"exit_code":0,"stderr":0}'), framed(b'{"exit_code":0}')[:-1],
]  # fmt: skip


@pytest.mark.parametrize("answer", NO_ANSWERS, ids=repr)
@pytest.mark.parametrize("mode", ["--hook", "--run"])
def test_an_answer_that_is_none_fails(agent: Agent, channel: Channel, mode: str, answer: bytes) -> None:
    process = channel.start(agent, mode, "pre-commit")
    with channel.accept() as peer:
        peer.receive()
        peer.send_bytes(answer) if answer else None
    end = end_of(process)
    assert end.status == 1
    assert end.stderr.startswith(b"error: the plugin")
    assert end.stderr.count(b"\n") == 1
