"""Policy files that are saved, wrong, moved and removed while plugins run."""

from __future__ import annotations

import asyncio
import os

import pytest

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import PolicyError, policy_hash
from supervisor.policies.store import PolicyConflict, PolicyStore
from tests.supervisor.harness import (
    Place,
    enforced,
    plugin_when,
    reason_recorded,
    status_when,
    supervised,
    tell,
    write_policy,
)


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
