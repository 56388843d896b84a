"""A supervisor with plugins that are real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import PolicyError, policy_hash
from supervisor.api.client import Client, NotRunning
from supervisor.home import Home
from supervisor.lock import AlreadyRunning
from supervisor.policies.store import PolicyConflict, PolicyStore
from supervisor.state_db import StateDb, StateError
from supervisor.supervisor import Supervisor
from tests.supervisor.harness import (
    enforced,
    plugin_when,
    reason_recorded,
    reasons,
    status_when,
    supervised,
    tell,
    write_policy,
)

Place = tuple[Home, Path]


async def test_a_plugin_with_a_policy_file_runs_and_enforces_it(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        plugin = await enforced(client, "tool")
        assert (plugin.tool, plugin.commands, plugin.isolation.seccomp) == ("fake 1", 7, True)
        assert plugin.policy.enforced_hash == policy_hash(home.policy_file("tool").read_text())
        assert await tell(home, "tool", "policy") == plugin.policy.enforced_hash
        assert (home.cli / "tool").is_symlink()
    assert not home.plugin_socket("tool").exists()


async def test_what_is_private_is_private(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        private = [home.api_socket, home.control_socket, home.lock_file, home.logs / "tool.log"]
        private += home.plugin_state("tool").glob("*.json")
        assert len(private) == 6
        assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


async def test_a_plugin_gets_no_variable_that_may_hold_a_secret(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = place
    monkeypatch.setenv("GITHUB_TOKEN", "canary")
    write_policy(home, "tool")
    async with supervised(*place) as client:
        pid = (await enforced(client, "tool")).pid
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"PATH=" in environment
        assert b"canary" not in environment


async def test_a_saved_policy_is_enforced_and_becomes_the_last_good_one(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        write_policy(home, "tool", "limits: {timeout_seconds: 5}\n")
        wanted = policy_hash(home.policy_file("tool").read_text())
        await plugin_when(client, "tool", lambda p: p.policy.enforced_hash == wanted)
        await reason_recorded(home, f"Policy {wanted[:12]} is in force")
    assert PolicyStore(home).last_good("tool") == home.policy_file("tool").read_text()


async def test_an_invalid_edit_changes_nothing_but_the_status(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        before = (await enforced(client, "tool")).policy.enforced_hash
        home.policy_file("tool").write_text("plugin: tool\nversion: 1\nruels: {}\n")
        plugin = await plugin_when(client, "tool", lambda p: p.policy.state == "invalid")
        assert plugin.policy.enforced_hash == before == await tell(home, "tool", "policy")
        assert any(problem.startswith("tool.yaml:3:1: ") for problem in plugin.policy.problems)
        await client.restart_plugin("tool")
        plugin = await plugin_when(client, "tool", lambda p: bool(p.policy.enforced_hash))
        assert (plugin.policy.state, plugin.policy.enforced_hash) == ("invalid", before)


async def test_with_no_valid_policy_ever_nothing_is_enforced(place: Place) -> None:
    home, _ = place
    home.policy_file("tool").write_bytes(b"\0\xff")
    async with supervised(*place) as client:
        plugin = await plugin_when(client, "tool", lambda p: p.state == "running")
        assert plugin.policy.state == "missing"
        assert plugin.policy.problems
        assert await tell(home, "tool", "policy") == ""
        write_policy(home, "tool")
        await enforced(client, "tool")


async def test_a_policy_that_the_plugin_refuses_does_not_replace_the_last_one(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        before = (await enforced(client, "tool")).policy.enforced_hash
        write_policy(home, "tool", "# refuse-me\n")
        plugin = await plugin_when(client, "tool", lambda p: p.policy.state == "invalid")
        assert plugin.policy.problems == ("It does not please.",)
        assert plugin.policy.enforced_hash == before
    assert "refuse-me" not in (PolicyStore(home).last_good("tool") or "refuse-me")


async def test_a_policy_file_that_appears_starts_its_plugin_and_one_that_goes_ends_it(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        pid = (await enforced(client, "tool")).pid
        write_policy(home, "other")
        await enforced(client, "other")
        assert (home.cli / "other").is_symlink()
        home.policy_file("other").unlink()
        status = await status_when(client, lambda s: len(s.plugins) == 1)
        assert status.plugins[0].pid == pid
        assert not os.path.lexists(home.cli / "other")
        assert not home.plugin_socket("other").exists()


async def test_an_editor_that_moves_the_file_away_for_a_moment_restarts_nothing(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        pid = (await enforced(client, "tool")).pid
        file = home.policy_file("tool")
        file.rename(file.with_suffix(".bak"))
        await asyncio.sleep(0.1)  # as long as a slow editor
        write_policy(home, "tool", "# edited\n")
        wanted = policy_hash(file.read_text())
        plugin = await plugin_when(client, "tool", lambda p: p.policy.enforced_hash == wanted)
        assert plugin.pid == pid


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


@pytest.mark.parametrize("misbehaviour", ["flood", "garbage", "huge"])
async def test_a_plugin_that_misbehaves_is_cut_off_and_harms_nobody(place: Place, misbehaviour: str) -> None:
    home, _ = place
    write_policy(home, "tool")
    write_policy(home, "other")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        await enforced(client, "other")
        talk = asyncio.create_task(tell(home, "tool", misbehaviour))
        plugin = await plugin_when(client, "tool", lambda p: p.state == "unhealthy")
        assert "cut off" in plugin.reason
        assert await tell(home, "other", "event fine") == "done"
        await reason_recorded(home, "fine")
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)


async def test_a_plugin_speaks_for_itself_alone(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        await tell(home, "tool", "event it says it is another")
        await reason_recorded(home, "it says it is another")
    from supervisor.audit.reader import AuditFilter, AuditReader

    rows = AuditReader(home.audit_db).rows(AuditFilter(text="it says"), 0, 10)
    assert [row.event.plugin for row in rows] == ["tool"]


async def test_nobody_gets_a_word_without_the_token(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        reader, writer = await asyncio.open_unix_connection(str(home.control_socket))
        hello = b'{"type":"hello","plugin":"tool","token":"guess","pid":1,"version":"","started":0}'
        writer.write(len(hello).to_bytes(4, "big") + hello)
        assert await reader.read() == b""
        writer.close()
        assert (await client.status()).plugins[0].state == "running"


async def test_lockdown_reaches_plugins_and_outlasts_the_supervisor(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        await client.lockdown(True, "lunch")
        assert (await client.status()).lockdown == "lunch"
        while await tell(home, "tool", "lockdown") != "lunch":
            pass
    async with supervised(*place) as client:
        await enforced(client, "tool")
        assert await tell(home, "tool", "lockdown") == "lunch"
        await client.lockdown(False)
        while await tell(home, "tool", "lockdown") != "":
            pass
        assert (await client.status()).lockdown is None


async def test_a_lockdown_that_cannot_be_kept_holds_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = place
    write_policy(home, "tool")

    def full(*_: object) -> None:
        raise StateError("The disk is full.", hint="Free some space.")

    async with supervised(*place) as client:
        await enforced(client, "tool")
        with monkeypatch.context() as patch:
            patch.setattr(StateDb, "set", full)
            with pytest.raises(ClaudeContainerError, match=r"refused now, but not after.*disk is full"):
                await client.lockdown(True, "fire")
            while await tell(home, "tool", "lockdown") != "fire":
                pass
            with pytest.raises(ClaudeContainerError, match="disk is full"):
                await client.lockdown(False)
            assert (await client.status()).lockdown == "fire"
        await client.lockdown(False)
        assert (await client.status()).lockdown is None


async def test_a_plugin_that_lockdown_cannot_reach_is_ended(place: Place) -> None:
    home, _ = place
    write_policy(home, "deaf")
    async with supervised(*place) as client:
        pid = (await plugin_when(client, "deaf", lambda p: p.pid is not None)).pid
        await client.lockdown(True)
        await plugin_when(client, "deaf", lambda p: p.pid not in (None, pid))


async def test_a_question_waits_for_an_attached_operator_only(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        assert await tell(home, "tool", "ask first") == "later"
        operator = await Client.connect(home, operator=True)
        reader, writer = await asyncio.open_unix_connection(str(home.plugin_socket("tool")))
        writer.write(b"ask second\n")
        assert await reader.readline() == b"waiting\n"
        waiting = [request for request in await client.requests() if request.waiting]
        assert [request.fingerprint for request in waiting] == ["second"]
        denied = await operator.deny(waiting[0].id, "not today")
        assert denied.state == "denied"
        assert await reader.readline() == b"denied not today\n"
        writer.close()
        await operator.close()
        await status_when(client, lambda s: s.operators == 0)
        assert (await client.status()).requests_open == 1


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


async def test_plugins_are_added_and_removed_by_name(place: Place) -> None:
    home, _ = place
    async with supervised(*place) as client:
        added = await client.add_plugin("ls")
        assert (added.state, added.policy.state) == ("running", "enforced")
        with pytest.raises(ClaudeContainerError, match="There is a plugin 'ls' already"):
            await client.add_plugin("ls")
        with pytest.raises(ClaudeContainerError, match="is not installed here"):
            await client.add_plugin("no-such-tool")
        with pytest.raises(ClaudeContainerError, match="cannot be the name of a tool"):
            await client.add_plugin("../ls")
        with pytest.raises(PolicyError):
            await client.add_plugin("cat", "plugin: cat\n")
        await client.remove_plugin("ls")
        assert (await client.status()).plugins == ()
        assert not home.policy_file("ls").exists()
        with pytest.raises(ClaudeContainerError, match="There is no plugin 'ls'"):
            await client.remove_plugin("ls")


async def test_policies_are_saved_through_the_api_with_all_their_errors(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    async with supervised(*place) as client:
        await enforced(client, "tool")
        text = home.policy_file("tool").read_text()
        new = await client.save_policy("tool", f"{text}# by the desk\n", policy_hash(text))
        await plugin_when(client, "tool", lambda p: p.policy.enforced_hash == new)
        with pytest.raises(PolicyConflict) as conflict:
            await client.save_policy("tool", text, policy_hash(text))
        assert conflict.value.current.endswith("# by the desk\n")
        with pytest.raises(PolicyError) as wrong:
            await client.save_policy("tool", f"{text}nonsense: 1\n", new)
        assert wrong.value.problems[0].line == 5
        await reason_recorded(home, "(by: operator)")
    assert PolicyStore(home).history("tool")[0].who == "operator"


async def test_the_log_and_the_state_survive_a_stop_and_a_start(place: Place) -> None:
    home, _ = place
    write_policy(home, "tool")
    for _ in range(2):
        async with supervised(*place) as client:
            await enforced(client, "tool")
    started = [reason for reason in reasons(home) if reason.startswith("Started")]
    assert len(started) == 2
    assert reasons(home)[-1] == "The supervisor stopped."
