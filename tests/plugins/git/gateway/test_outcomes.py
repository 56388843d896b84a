"""A push whose answer is lost: recorded as of unknown outcome, and the remote is asked what became of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.plugins.git.gateway.process import GatewayProcess, gateway_process
from tests.plugins.git.gateway.proxy import Proxy, proxy
from tests.upstream import SmartHttp, native

_NAME = "private/r.git"
_REF = "refs/heads/claude/x"


@dataclass
class Place:
    gateway: GatewayProcess
    proxy: Proxy
    workspace: Path
    remote: SmartHttp

    async def push(self) -> tuple[int, str]:
        done = await self.gateway.git(self.workspace, "push", self.gateway.url, f"HEAD:{_REF}")
        return done.returncode, done.stderr

    def arrived(self) -> bool:
        return _REF in self.remote.refs(_NAME)


@pytest.fixture
async def place(tmp_path: Path, upstream: SmartHttp) -> AsyncIterator[Place]:
    upstream.create(_NAME)
    workspace = tmp_path / "workspace"
    native("init", "--quiet", "--initial-branch=main", str(workspace))
    native("-C", str(workspace), "commit", "--quiet", "--allow-empty", "-m", "one")
    async with proxy(upstream.port) as between:
        origin = f"http://127.0.0.1:{between.port}/git/{_NAME}"
        with gateway_process(tmp_path / "gateway", origin) as gateway:
            yield Place(gateway, between, workspace, upstream)


async def test_killed_between_the_push_and_its_answer(place: Place) -> None:
    place.proxy.answer.clear()
    pushing = asyncio.create_task(place.push())
    await place.proxy.taken.wait()
    place.gateway.end(signal.SIGKILL)
    code, _ = await pushing
    assert code != 0
    assert place.arrived()
    place.proxy.answer.set()
    place.gateway.start()
    unknown = await place.gateway.until_said("outcome unknown")
    assert unknown["verdict"] == "error"
    assert [update["ref"] for update in unknown["updates"]] == [_REF]
    await place.gateway.until_said("it has what was pushed")


async def test_a_push_that_was_lost_on_its_way_did_not_arrive(place: Place) -> None:
    place.proxy.answer.clear()
    pushing = asyncio.create_task(place.push())
    await place.proxy.taken.wait()
    place.gateway.end(signal.SIGKILL)
    await pushing
    native("-C", str(place.remote.path(_NAME)), "update-ref", "-d", _REF)  # as if it had not got there
    place.proxy.answer.set()
    place.gateway.start()
    await place.gateway.until_said("it does not have what was pushed")


async def test_the_remote_is_asked_as_soon_as_an_answer_is_lost(place: Place) -> None:
    place.proxy.lose = True
    code, told = await place.push()
    assert code != 0
    assert "But the push arrived." in told
    assert place.gateway.said("it has what was pushed")


async def test_a_remote_that_cannot_be_asked_is_asked_again_later(place: Place) -> None:
    place.proxy.answer.clear()
    pushing = asyncio.create_task(place.push())
    await place.proxy.taken.wait()
    place.proxy.down = place.proxy.lose = True
    place.proxy.answer.set()
    code, told = await pushing
    assert code != 0
    assert "Whether the push arrived is not known." in told
    assert (await place.gateway.until_said("The outcome is unknown"))["verdict"] == "error"
    place.gateway.end()
    place.proxy.down = False
    place.gateway.start()
    await place.gateway.until_said("it has what was pushed")


async def test_an_answered_push_leaves_no_note(place: Place) -> None:
    assert (await place.push())[0] == 0
    assert list((place.gateway.state / "forwards").iterdir()) == []


async def test_after_a_crash_the_next_push_works(place: Place) -> None:
    place.gateway.end(signal.SIGKILL)
    assert (await place.push())[0] != 0
    place.gateway.start()
    assert (await place.push())[0] == 0
    assert place.arrived()
