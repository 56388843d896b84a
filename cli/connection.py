"""Talking to the running supervisor from commands that are not asynchronous themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from supervisor.api.client import Client, NotRunning
from supervisor.home import Home

T = TypeVar("T")


def ask(home: Home, question: Callable[[Client], Awaitable[T]], *, operator: bool = False) -> T:
    """Connect, ask, disconnect. Raises `NotRunning` when there is no supervisor."""

    async def conversation() -> T:
        client = await Client.connect(home, operator=operator)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(conversation())


def ask_if_running(home: Home, question: Callable[[Client], Awaitable[T]]) -> T | None:
    """As `ask`, but None when no supervisor runs."""
    try:
        return ask(home, question)
    except NotRunning:
        return None
