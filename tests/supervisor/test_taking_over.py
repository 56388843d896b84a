"""Supervisors one after another: what the next one finds, takes over, and leaves alone."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from supervisor.api.client import Client, NotRunning
from supervisor.lock import AlreadyRunning
from supervisor.supervisor import Supervisor
from tests.supervisor.harness import (
    Place,
    enforced,
    reason_recorded,
    reasons,
    supervised,
    tell,
    write_policy,
)


async def test_a_second_supervisor_is_refused_with_the_pid_of_the_first(place: Place) -> None:
    async with supervised(*place) as client:
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}") as caught:
            await Supervisor(*place).run()
        assert caught.value.pid == os.getpid()
        assert (await client.status()).pid == os.getpid()


async def test_sockets_left_over_are_cleaned(place: Place) -> None:
    home, _ = place
    for path in (home.plugin_socket("gone"), home.api_socket, home.control_socket):
        os.mknod(path, stat.S_IFSOCK | 0o600)
    async with supervised(*place):
        assert not home.plugin_socket("gone").exists()
    assert not home.api_socket.exists()


async def test_a_killed_supervisors_plugins_go_on_and_are_adopted_with_no_event_lost_or_doubled(
    place: Place,
) -> None:
    home, workspace = place
    write_policy(home, "tool")
    program = Path(__file__).with_name("run_supervisor.py")
    first = await asyncio.create_subprocess_exec(
        sys.executable, str(program), str(home.root), str(workspace), stdout=asyncio.subprocess.PIPE
    )
    assert first.stdout is not None
    assert await first.stdout.readline() == b"ready\n"
    client = await Client.connect(home)
    pid = (await enforced(client, "tool")).pid
    await tell(home, "tool", "event before")
    await reason_recorded(home, "before")
    first.kill()
    await first.wait()
    with pytest.raises(NotRunning):
        await client.status()
    await client.close()
    for number in range(3):
        assert await tell(home, "tool", f"event meanwhile {number}") == "done"
    async with supervised(home, workspace) as client:
        plugin = await enforced(client, "tool")
        assert (plugin.pid, plugin.restarts) == (pid, 0)
        await reason_recorded(home, "meanwhile 2")
        await tell(home, "tool", "event after")
        await reason_recorded(home, "after")
    told = [r for r in reasons(home) if r.startswith(("before", "meanwhile", "after"))]
    assert told == ["before", "meanwhile 0", "meanwhile 1", "meanwhile 2", "after"]


async def test_a_plugin_of_another_workspace_is_not_adopted(place: Place) -> None:
    home, workspace = place
    other = workspace.with_name("other")
    other.mkdir()
    write_policy(home, "tool")
    program = Path(__file__).with_name("run_supervisor.py")
    first = await asyncio.create_subprocess_exec(
        sys.executable, str(program), str(home.root), str(other), stdout=asyncio.subprocess.PIPE
    )
    assert first.stdout is not None
    await first.stdout.readline()
    client = await Client.connect(home)
    pid = (await enforced(client, "tool")).pid
    first.kill()
    await first.wait()
    await client.close()
    async with supervised(home, workspace) as client:
        assert (await enforced(client, "tool")).pid != pid


async def test_the_log_and_the_state_survive_a_stop_and_a_start(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    for _ in range(2):
        async with supervised(*place) as client:
            await enforced(client, "tool")
    started = [reason for reason in reasons(home) if reason.startswith("Started")]
    assert len(started) == 2
    assert reasons(home)[-1] == "The supervisor stopped."
