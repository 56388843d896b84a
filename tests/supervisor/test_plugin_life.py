"""Plugins that crash, hang, lack their tool, and are stopped and started."""

from __future__ import annotations

import os
import signal

from tests.supervisor.harness import (
    Place,
    enforced,
    plugin_when,
    reasons,
    supervised,
    write_policy,
)


async def test_a_crash_is_followed_by_a_new_start(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        pid = (await enforced(client, "tool")).pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        plugin = await plugin_when(client, "tool", lambda p: p.state == "running" and p.pid != pid)
        assert plugin.restarts == 1
        assert any("was ended by SIGKILL" in reason for reason in reasons(home))


async def test_a_plugin_that_crashes_again_and_again_is_shown_and_blocks_no_other(place: Place) -> None:
    home, _ = place
    write_policy(home, "crash")
    write_policy(home, "tool")
    async with supervised(*place) as client:
        plugin = await plugin_when(client, "crash", lambda p: p.state == "backoff")
        assert plugin.reason == (
            "crash ended with exit status 3 (see: claude-container logs crash). "
            "Its last words: crash: this is how it goes"
        )
        assert plugin.retry_at is not None
        assert "this is how it goes" in (home.logs / "crash.log").read_text()
        await enforced(client, "tool")
        stopped = await client.stop_plugin("crash")
        assert (stopped.state, stopped.wanted) == ("stopped", False)


async def test_a_plugin_without_its_tool_is_unhealthy_and_says_why(place: Place) -> None:
    home, _ = place
    write_policy(home, "ill")
    async with supervised(*place) as client:
        plugin = await plugin_when(client, "ill", lambda p: p.state == "unhealthy")
        assert plugin.reason == "There is no such tool."


async def test_an_operator_stops_and_starts_a_plugin(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        assert (await client.stop_plugin("tool")).state == "stopped"
        assert not home.plugin_socket("tool").exists()
        write_policy(home, "tool", "# an edit does not start it\n")
        await plugin_when(client, "tool", lambda p: p.policy.state == "stale")
        assert (await client.status()).plugins[0].state == "stopped"
        started = await client.start_plugin("tool")
        assert (started.state, started.policy.state) == ("running", "enforced")
        again = await client.restart_plugin("tool")
        assert again.state == "running"
        assert again.pid != started.pid


async def test_a_plugin_that_ignores_everything_is_killed(place: Place) -> None:
    home, _ = place
    write_policy(home, "deaf")
    async with supervised(*place) as client:
        await plugin_when(client, "deaf", lambda p: p.pid is not None)
        assert (await client.stop_plugin("deaf")).state == "stopped"
