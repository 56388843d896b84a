"""Whoever waits is told so, again and again, until the waiting ends."""

from __future__ import annotations

import asyncio

from plugins.git.gateway.reminder import reminding


async def test_reminders_come_while_the_block_runs_and_then_stop() -> None:
    said: list[str] = []
    twice = asyncio.Event()

    async def say(text: str) -> None:
        said.append(text)
        if len(said) == 2:
            twice.set()

    async with reminding(say, 120, every=0.001):
        await twice.wait()
    count = len(said)
    await asyncio.sleep(0)
    assert len(said) == count
    assert said[0].startswith("still waiting for the operator (up to 119.999 s")


async def test_a_client_that_went_away_stops_no_one() -> None:
    tried = asyncio.Event()

    async def say(text: str) -> None:
        tried.set()
        raise ConnectionResetError

    async with reminding(say, 1, every=0.001):
        await tried.wait()
