"""A real supervisor with a real plugin: in the background, inside this process, stopped, killed."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor import daemon, lock
from supervisor.api.client import Client
from supervisor.home import Home
from supervisor.lock import AlreadyRunning
from supervisor.runtimes.process import ProcessRuntime
from supervisor.setup import prepare_home
from supervisor.status import Status
from tests.supervisor.harness import Place, write_policy


@pytest.fixture
def place(place: Place) -> Place:
    prepare_home(place[0])
    write_policy(place[0], "ls")
    return place


def status(home: Home) -> Status:
    async def ask() -> Status:
        client = await Client.connect(home)
        try:
            return await client.status()
        finally:
            await client.close()

    return asyncio.run(ask())


def test_it_starts_in_the_background_and_stops_again(place: Place) -> None:
    home, workspace = place
    started = daemon.start_in_background(*place)
    assert [(plugin.name, plugin.state) for plugin in started.plugins] == [("ls", "running")]
    assert started.plugins[0].policy.state == "enforced"
    assert started.pid != os.getpid()
    assert daemon.start_in_background(*place).pid == started.pid
    other = workspace.with_name("other")
    other.mkdir()
    with pytest.raises(ClaudeContainerError, match=f"pid {started.pid}.* works on {workspace}"):
        daemon.start_in_background(home, other)
    assert daemon.stop(home)
    assert lock.holder(home.lock_file) is None
    assert not home.plugin_socket("ls").exists()
    assert not daemon.stop(home)


def test_stop_ends_what_a_killed_supervisor_left(place: Place) -> None:
    home, _ = place
    started = daemon.start_in_background(*place)
    plugin = started.plugins[0].pid
    assert plugin
    os.kill(started.pid, signal.SIGKILL)
    assert daemon.stop(home)
    assert asyncio.run(ProcessRuntime(home).adopt("ls")) is None


def test_sigterm_ends_it_in_order(place: Place) -> None:
    home, _ = place
    started = daemon.start_in_background(*place)
    pidfd = os.pidfd_open(started.pid)
    os.kill(started.pid, signal.SIGTERM)
    assert daemon._wait(pidfd)
    os.close(pidfd)
    assert asyncio.run(ProcessRuntime(home).adopt("ls")) is None


def test_a_plugin_that_is_not_healthy_is_named_with_the_reason(place: Place) -> None:
    home, _ = place
    write_policy(home, "no-such-tool")
    with pytest.raises(ClaudeContainerError, match="no-such-tool is not healthy") as caught:
        daemon.start_in_background(*place)
    assert "runs on" in caught.value.hint
    assert {plugin.name: plugin.state for plugin in status(home).plugins}["ls"] == "running"


def test_a_plugin_without_a_valid_policy_is_named(place: Place) -> None:
    home, _ = place
    home.policy_file("ls").write_text("plugin: ls\n")
    with pytest.raises(ClaudeContainerError, match=r"ls refuses everything .*ls\.yaml:1:1: "):
        daemon.start_in_background(*place)


def test_why_it_cannot_start_is_said(place: Place) -> None:
    home, workspace = place
    with pytest.raises(ClaudeContainerError, match="must lie apart"):
        daemon.start_in_background(home, workspace.parent)
    home.audit_db.write_bytes(b"this is no database " * 100)
    with pytest.raises(ClaudeContainerError, match="audit log"):
        daemon.start_in_background(home, workspace)


def test_a_lock_without_an_answer_is_no_supervisor_to_talk_to(place: Place) -> None:
    home, _ = place
    with lock.held(home.lock_file):
        with pytest.raises(ClaudeContainerError, match=rf"pid {os.getpid()}\) runs on .* already"):
            daemon.start_in_background(*place)
        with pytest.raises(ClaudeContainerError, match=rf"pid {os.getpid()}\) has this home, but does not"):
            daemon.stop(home)


def test_it_runs_inside_another_program(place: Place) -> None:
    home, _ = place
    embedded = daemon.EmbeddedSupervisor(*place)
    embedded.start()
    assert status(home).pid == os.getpid()
    second = daemon.EmbeddedSupervisor(*place)
    with pytest.raises(AlreadyRunning):
        second.start()
    second.stop()
    embedded.stop()
    embedded.stop()
    assert lock.holder(home.lock_file) is None
    assert "The supervisor stopped." in (home.logs / "supervisor.log").read_text()


def test_one_that_never_started_can_be_stopped(place: Place) -> None:
    daemon.EmbeddedSupervisor(*place).stop()
