"""A supervisor with plugins that are real processes: what a running plugin is, and who may speak for it."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from plugins.base.policy import policy_hash
from supervisor.api.client import Client
from supervisor.home import Home
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


async def _with_gateways(home: Home, client: Client) -> None:
    for name in ("tool", "other"):
        write_policy(home, name, "network: {allow: [a.example]}\n")
    for name in ("tool", "tool-gateway", "other", "other-gateway"):
        await enforced(client, name)


async def test_what_a_gateway_says_is_heard_by_its_tool_alone(place: Place) -> None:
    home, _ = place
    async with supervised(*place) as client:
        await _with_gateways(home, client)
        assert await tell(home, "tool-gateway", "tell refused") == "told"
        heard = [await tell(home, name, "heard") for name in ("tool", "other", "other-gateway")]
        assert heard == ["refused", "", ""]


async def test_a_gateway_whose_tool_is_not_there_does_not_wait_for_it(place: Place) -> None:
    home, _ = place
    async with supervised(*place) as client:
        await _with_gateways(home, client)
        talk = asyncio.create_task(tell(home, "tool", "garbage"))  # which cuts it off
        await plugin_when(client, "tool", lambda p: p.state == "unhealthy")
        assert await tell(home, "tool-gateway", "tell refused") == "told"
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)


async def test_what_a_tool_says_like_a_gateway_is_heard_by_nobody(place: Place) -> None:
    home, _ = place
    async with supervised(*place) as client:
        await _with_gateways(home, client)
        talk = asyncio.create_task(tell(home, "tool", "tell refused"))
        await tell(home, "tool", "event behind it")
        await reason_recorded(home, "behind it")
        names = ("tool", "tool-gateway", "other", "other-gateway")
        heard = [await tell(home, name, "heard") for name in names]
        assert heard == ["", "", "", ""]
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)


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
