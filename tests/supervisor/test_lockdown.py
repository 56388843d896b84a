"""A lockdown reaches every plugin, and outlasts whatever happens to the supervisor."""

from __future__ import annotations

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.state_db import StateDb, StateError
from tests.supervisor.harness import (
    Place,
    enforced,
    plugin_when,
    supervised,
    tell,
    write_policy,
)


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
