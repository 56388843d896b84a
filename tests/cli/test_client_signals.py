"""plugin-client and signals: from kill(1), from the terminal, stopping and going on."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import termios
from collections.abc import Iterator

import pytest

from tests.cli.fake_plugin import Agent, FakePlugin, Peer, end_of, response

FORWARDED = [
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGWINCH, signal.SIGCONT,
]  # fmt: skip


@pytest.fixture(autouse=True)
def hangups_are_not_ignored() -> Iterator[None]:
    """`nohup` ignores them, and so would all that it starts."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def forwarded(peer: Peer) -> int:
    frame = peer.receive()
    assert frame.keys() == {"action", "signum"}
    assert frame["action"] == "signal"
    number = frame["signum"]
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("signum", FORWARDED, ids=lambda each: each.name)
def test_a_signal_is_passed_on_and_the_tool_decides(
    agent: Agent, git: FakePlugin, signum: signal.Signals
) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.settle()
        process.send_signal(signum)
        assert forwarded(peer) == signum
        peer.send(response(9))
    assert end_of(process).status == 9


def test_a_signal_that_was_ignored_from_the_start_stays_so(agent: Agent, git: FakePlugin) -> None:
    process = agent.start_program("/bin/sh", "-c", 'trap "" HUP; exec "$0"', agent.link("git"))
    with git.accept() as peer:
        peer.receive()
        peer.settle()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert forwarded(peer) == signal.SIGTERM
        peer.send(response())
    assert end_of(process).status == 0


def test_stopping_stops_both_and_going_on_lets_both_go_on(agent: Agent, git: FakePlugin) -> None:
    # A group of its own, as a shell gives each job: a group that nobody watches cannot be stopped.
    process = agent.start("git", process_group=0)
    with git.accept() as peer:
        peer.receive()
        peer.settle()
        process.send_signal(signal.SIGTSTP)
        assert forwarded(peer) == signal.SIGTSTP
        stopped = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED)
        assert stopped is not None
        assert (stopped.si_code, stopped.si_status) == (os.CLD_STOPPED, signal.SIGTSTP)
        process.send_signal(signal.SIGCONT)
        assert forwarded(peer) == signal.SIGCONT
        peer.send(response())
    assert end_of(process).status == 0


def test_killing_the_client_closes_the_connection(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        process.kill()
        assert peer.is_left()


@pytest.fixture
def terminal(agent: Agent, git: FakePlugin) -> Terminal:
    return Terminal(agent)


class Terminal:
    """The client in the foreground of a terminal, whose keys the test presses."""

    def __init__(self, agent: Agent) -> None:
        self.keyboard, side = os.openpty()
        self.process = agent.start(
            "git", stdin=side, stdout=subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(side)

    def press(self, key: bytes) -> None:
        os.write(self.keyboard, key)

    def close(self) -> None:
        os.close(self.keyboard)


def test_ctrl_c_at_the_terminal_reaches_the_tool(terminal: Terminal, git: FakePlugin) -> None:
    with git.accept() as peer:
        peer.receive()
        peer.settle()
        terminal.press(b"\x03")
        assert forwarded(peer) == signal.SIGINT
        peer.send(response(130, signal=2))
    assert end_of(terminal.process).status == -signal.SIGINT
    terminal.close()


def test_ctrl_c_is_for_the_program_that_runs_at_the_terminal(terminal: Terminal, git: FakePlugin) -> None:
    """An editor takes it as a key: the tool that waits for the editor must not be ended by it."""
    ready, writer = os.pipe()
    with git.accept() as peer:
        peer.receive()
        editor = "trap 'kill -TERM $PPID; exit 7' INT; echo ready >&2; while read -r _; do :; done"
        peer.run("sh", "-c", editor, fds=(peer.fds[0], peer.fds[1], writer))
        assert os.read(ready, 64) == b"ready\n"
        terminal.press(b"\x03")
        # The editor's own signal comes after the key: nothing was passed on for the key.
        assert forwarded(peer) == signal.SIGTERM
        assert peer.receive() == {"action": "ran", "run": 1, "exit_code": 7}
        peer.send(response())
    assert end_of(terminal.process).status == 0
    for fd in (ready, writer):
        os.close(fd)
    terminal.close()
