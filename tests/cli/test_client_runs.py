"""plugin-client as the place where the agent's own programs run: hooks, editors, pagers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.cli.fake_plugin import Agent, FakePlugin, end_of, response


def test_a_program_runs_with_what_it_is_given(agent: Agent, git: FakePlugin) -> None:
    (agent.work / "sub").mkdir()
    process = agent.start("git", "commit")
    with git.accept() as peer:
        peer.receive()
        script = 'cat; echo "$0 $1 $GIT_DIR $PLUGIN_SOCKET_DIR"; pwd; exit 3'
        variables = {"GIT_DIR": "a=\udcff", "LANG": ""}
        peer.run(
            "sh", "-c", script, "hook", "\udcfe é", number=2147483647, env=variables,
            cwd=str(agent.work / "sub"),
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(b"from stdin\n")
        process.stdin.close()
        process.stdin = None
        assert peer.receive() == {"action": "ran", "run": 2147483647, "exit_code": 3}
        peer.send(response())
    expected = b"from stdin\nhook \xfe \xc3\xa9 a=\xff %s\n%s/sub\n"
    assert end_of(process).stdout == expected % (os.fsencode(agent.sockets), os.fsencode(agent.work))


def test_each_program_has_the_descriptors_that_came_with_it(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        source, sink = os.pipe()
        peer.run("sh", "-c", "echo out; echo err >&2", fds=(peer.fds[0], sink, sink))
        os.close(sink)
        assert peer.receive()["exit_code"] == 0
        with os.fdopen(source, "rb") as reader:
            assert reader.read() == b"out\nerr\n"  # and its end: the client has closed its copies
        peer.send(response())
    assert end_of(process).stdout == b""


def test_several_run_at_once_and_end_in_any_order(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        for number in (1, 2, 3):
            peer.run("sh", "-c", f"read -r go; exit {number}", number=number)
        assert process.stdin is not None
        answers = []
        for _ in range(3):
            process.stdin.write(b"go\n")
            process.stdin.flush()
            answers.append(peer.receive())
        peer.send(response())
    assert end_of(process).status == 0
    assert sorted((answer["run"], answer["exit_code"]) for answer in answers) == [(1, 1), (2, 2), (3, 3)]


def test_a_program_that_a_signal_ended_answers_as_a_shell_would(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.run("sh", "-c", "kill -KILL $$")
        assert peer.receive()["exit_code"] == 128 + signal.SIGKILL
        peer.send(response())
    assert end_of(process).status == 0


def _own_signals() -> tuple[int, int]:
    """What this process blocks and ignores, as the client it starts inherits it."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["SigBlk"], 16), int(status["SigIgn"], 16)


def test_a_program_starts_with_the_signals_as_the_client_had_them(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.run("grep", "-E", "^SigBlk|^SigIgn", "/proc/self/status")
        assert peer.receive()["exit_code"] == 0
        peer.send(response())
    # Python ignores SIGPIPE (13) and SIGXFSZ (25), and gives its children both back.
    given_back = 1 << 12 | 1 << 24
    blocked, ignored = _own_signals()
    expected = f"SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored & ~given_back:016x}\n"
    assert end_of(process).stdout.decode() == expected


def test_what_cannot_be_started_answers_as_a_shell_would(agent: Agent, git: FakePlugin) -> None:
    (agent.work / "data").write_text("no program", encoding="utf-8")
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.run("no-such-program")
        assert peer.receive()["exit_code"] == 127
        peer.run(str(agent.work / "data"))
        assert peer.receive()["exit_code"] == 126
        peer.run("true", cwd="/no/such/directory")
        assert peer.receive()["exit_code"] == 126
        peer.send(response(6))
    end = end_of(process)
    assert end.status == 6
    assert end.stderr.splitlines() == [
        b"error: cannot run no-such-program: No such file or directory",
        b"error: cannot run %s: Permission denied" % os.fsencode(agent.work / "data"),
        b"error: cannot run /no/such/directory: No such file or directory",
    ]


def test_a_program_still_running_ends_with_the_client(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        source, sink = os.pipe()
        peer.run(
            "sh", "-c", "trap 'echo restored; exit' TERM; echo up; read -r _", fds=(peer.fds[0], sink, sink)
        )
        os.close(sink)
        with os.fdopen(source, "rb") as reader:
            assert reader.readline() == b"up\n"
            peer.send(response(8))
            assert reader.read() == b"restored\n"
    assert end_of(process).status == 8
