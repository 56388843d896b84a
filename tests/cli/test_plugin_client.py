"""plugin-client, called as a tool: what it sends, what it passes on, how it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.fake_plugin import Agent, End, FakePlugin, end_of, new_agent, response

NOT_UTF8 = b"caf\xe9 \xff\xfe \xed\xa0\x80 \xc0\xaf \xf5"


def test_a_request_says_what_to_run_where_and_how(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git", "push", "origin", "a b", "", '"\\\n\x1f', umask=0o027)
    with git.accept() as peer:
        request = peer.receive()
        assert len(peer.fds) == 3
        peer.send(response())
    assert end_of(process).status == 0
    assert request.pop("env") == agent.environment()
    assert request == {
        "action": "exec", "args": ["push", "origin", "a b", "", '"\\\n\x1f'], "cwd": str(agent.work),
        "stdio": "fds", "umask": 0o027,
    }  # fmt: skip


def test_the_descriptors_are_the_callers_own_and_carry_any_bytes(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git", "cat-file")
    assert process.stdin is not None
    everything = bytes(range(256)) * 64
    process.stdin.write(everything)
    process.stdin.flush()
    with git.accept() as peer:
        peer.receive()
        stdin, stdout, stderr = peer.fds
        os.write(stdout, os.read(stdin, len(everything)))
        os.write(stderr, b"warning\n")
        peer.send(response())
        peer.close()
        end = end_of(process)
    assert (end.status, end.stdout, end.stderr) == (0, everything, b"warning\n")


def test_bytes_that_are_not_utf8_travel_as_surrogate_escapes(agent: Agent, git: FakePlugin) -> None:
    directory = os.fsencode(agent.work) + b"/" + NOT_UTF8.replace(b"/", b"")
    os.mkdir(directory)
    environment = {os.fsencode(k): os.fsencode(v) for k, v in agent.environment().items()} | {
        b"N\xff": NOT_UTF8
    }
    process = agent.start("git", NOT_UTF8, "é€😀".encode(), cwd=directory, env=environment)
    with git.accept() as peer:
        request = peer.receive()
        peer.send(response())
    assert end_of(process).status == 0
    assert request["args"] == [NOT_UTF8.decode("utf-8", "surrogateescape"), "é€😀"]
    assert os.fsencode(request["cwd"]) == directory
    assert request["env"][os.fsdecode(b"N\xff")] == NOT_UTF8.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("code", [0, 1, 128, 255])
def test_the_exit_code_is_the_tools(agent: Agent, git: FakePlugin, code: int) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.send(response(code))
    assert end_of(process).status == code


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_a_tool_that_a_signal_ended_ends_the_client_by_it(agent: Agent, git: FakePlugin, signum: int) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.send(response(128 + signum, signal=signum))
    assert end_of(process).status == -signum


@pytest.mark.parametrize("signum", [signal.SIGSTOP, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, 32])
def test_a_signal_that_ends_nothing_leaves_the_exit_code(agent: Agent, git: FakePlugin, signum: int) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.send(response(77, signal=signum))
    assert end_of(process).status in (77, -signum)


def test_output_in_the_response_is_printed(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git", "status")
    with git.accept() as peer:
        peer.receive()
        peer.send(response(3, stdout="out \0 \udcff é 😀\n", stderr="err\n", error="err", new={"a": [1.5e3]}))
    end = end_of(process)
    assert (end.status, end.stderr) == (3, b"err\n")
    assert end.stdout == b"out \0 \xff \xc3\xa9 \xf0\x9f\x98\x80\n"


@settings(max_examples=25)
@given(data=st.binary(min_size=1))
def test_any_bytes_come_out_as_they_went_in(checked_client: Path, data: bytes) -> None:
    agent = new_agent(checked_client)
    try:
        git = agent.plugin()
        argument = data.replace(b"\0", b"")
        process = agent.start("git", argument)
        with git.accept() as peer:
            assert os.fsencode(peer.receive()["args"][0]) == argument
            peer.send(response(stdout=data.decode("utf-8", "surrogateescape")))
        assert end_of(process).stdout == data
    finally:
        agent.close()


def test_closed_descriptors_become_empty_ones(agent: Agent, git: FakePlugin) -> None:
    process = agent.start_program("/bin/sh", "-c", '"$0" status <&- >&- 2>&-', agent.link("git"))
    with git.accept() as peer:
        peer.receive()
        kinds = [os.fstat(fd).st_rdev for fd in peer.fds]
        peer.send(response(5, stdout="lost", stderr="lost"))
    assert end_of(process) == End(5, b"", b"")
    assert kinds == [os.stat(os.devnull).st_rdev] * 3


def test_no_other_descriptor_is_passed_on_or_left_open(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.settle()
        peer.run("sh", "-c", "ls /proc/self/fd")
        assert peer.receive()["exit_code"] == 0
        peer.send(response())
    assert end_of(process).stdout.split() == [b"0", b"1", b"2", b"3"]  # 3: the directory, read by ls


def test_five_megabytes_of_arguments_arrive(agent: Agent, git: FakePlugin) -> None:
    arguments = ["x" * 100_000] * 19
    process = agent.start("git", *arguments)
    with git.accept() as peer:
        assert peer.receive()["args"] == arguments
        peer.send(response())
    assert end_of(process).status == 0


def test_a_request_beyond_the_limit_is_refused_by_the_client(agent: Agent, git: FakePlugin) -> None:
    # Each byte takes six as an escape.
    process = agent.start("git", *[b"\xff" * 100_000] * 15)
    with git.accept() as peer:
        assert peer.is_left()
    end = end_of(process)
    assert end.status == 126
    assert end.stderr.startswith(b"error: arguments and environment are larger than 8 MiB\nhint: ")


def test_a_deleted_directory_is_said_so(agent: Agent, git: FakePlugin) -> None:
    gone = agent.work / "gone"
    gone.mkdir()
    process = agent.start_program("/bin/sh", "-c", 'rmdir "$PWD"; exec "$0"', agent.link("git"), cwd=gone)
    end = end_of(process)
    assert end.status == 126
    assert end.stderr.startswith(
        b"error: the current directory cannot be found: No such file or directory\nhint: "
    )


def test_a_refusal_before_the_request_was_read_is_shown(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git", *["x" * 100_000] * 10)
    with git.accept() as peer:
        peer.send(response(1, stderr="error: this user may not use git\n"))
    end = end_of(process)
    assert (end.status, end.stderr) == (1, b"error: this user may not use git\n")


# ---------------------------------------------------------------- the other ways to call it


def test_a_socket_can_be_named_by_its_path(agent: Agent) -> None:
    plugin = agent.plugin("npm")
    process = agent.start("plugin-client", str(plugin.path), "--list", "x")
    with plugin.accept() as peer:
        assert peer.receive()["args"] == ["--list", "x"]
        peer.send(response(4))
    assert end_of(process).status == 4


@pytest.mark.parametrize("call", [["npm", "ci"], ["plugin-client", "/nowhere/npm.sock", "ci"]])
def test_a_missing_plugin_is_said_so_with_a_hint(agent: Agent, call: list[str]) -> None:
    end = end_of(agent.start(*call))
    assert end.status == 127
    assert end.stderr.startswith(b"error: npm plugin not available\nhint: ")
    assert end.stderr.count(b"\n") == 2


def test_a_socket_that_nobody_serves_is_a_missing_plugin(agent: Agent, git: FakePlugin) -> None:
    git.close()
    end = end_of(agent.start("git"))
    assert (end.status, end.stderr.splitlines()[0]) == (127, b"error: git plugin not available")


def test_a_path_too_long_for_a_socket_is_said_so(agent: Agent) -> None:
    end = end_of(agent.start("git", env=agent.environment(PLUGIN_SOCKET_DIR="/x" * 100)))
    assert end.status == 127
    assert b"too long" in end.stderr


def test_list_names_the_plugins_that_answer(agent: Agent) -> None:
    for name in ("npm", "gh", "git"):
        agent.plugin(name)
    agent.plugins[1].close()  # its socket stays behind
    (agent.sockets / "notes.txt").touch()
    process = agent.start("plugin-client", "--list")
    for plugin in (agent.plugins[2], agent.plugins[0]):
        with plugin.accept() as peer:
            assert peer.receive() == {"action": "health"}
            peer.send(response())
    end = end_of(process)
    assert (end.status, end.stdout, end.stderr) == (0, b"git\nnpm\n", b"")


@pytest.mark.parametrize("action", ["health", "capabilities"])
def test_health_and_capabilities_print_the_answer(agent: Agent, git: FakePlugin, action: str) -> None:
    process = agent.start("plugin-client", f"--{action}", str(git.path))
    with git.accept() as peer:
        assert peer.receive() == {"action": action}
        peer.send(response(3, stdout="{}\n", stderr="error: no policy\n"))
    assert end_of(process) == End(3, b"{}\n", b"error: no policy\n")


def test_health_of_a_missing_plugin(agent: Agent) -> None:
    end = end_of(agent.start("plugin-client", "--health", "npm"))
    assert (end.status, end.stderr.splitlines()[0]) == (127, b"error: npm plugin not available")


@pytest.mark.parametrize(
    "arguments", [[], ["--health"], ["--list", "x"], ["--hook"], ["--run"], ["--nonsense"]]
)
def test_wrong_use_is_said_so(agent: Agent, arguments: list[str]) -> None:
    end = end_of(agent.start("plugin-client", *arguments))
    assert end.status == 2
    assert end.stderr.startswith(b"error: ")


def test_help_is_printed(agent: Agent) -> None:
    end = end_of(agent.start("plugin-client", "--help"))
    assert end.status == 0
    assert end.stdout.startswith(b"usage: plugin-client SOCKET ARG...")
