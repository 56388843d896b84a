"""What an operator is told of a push: also of commits that the remote has, but not on this branch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from plugins.base.model import Decision, Reason
from plugins.git.gateway import details
from plugins.git.gateway.details import describe
from plugins.git.gateway.history import Histories
from plugins.git.gateway.proofs import Judged
from plugins.git.gateway.push import Send, Settled
from tests.plugins.git.gateway.conftest import Gateway
from tests.upstream import native

_NAME = "private/r.git"
_HOLD = Decision((Reason("blocked_branches", "ask"),))


async def _told(
    told: list[str], histories: Histories, push: Judged, decision: Decision, remark: Send
) -> Settled:
    if push.objects is not None:
        args = push.upstream, push.updates, push.objects, push.parents, histories, push.object_format
        told.append(await describe(*args))
    return Settled(True)


@pytest.fixture
def told(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The descriptions of the pushes, which all pass. The remote's main has one commit."""
    path = gateway.upstream.create(_NAME)
    gateway.commit("first")
    native("-C", str(gateway.workspace), "push", "--quiet", str(path), "main")
    told: list[str] = []
    monkeypatch.setattr(gateway.judge, "settle", partial(_told, told, Histories(tmp_path / "known")))
    monkeypatch.setattr(gateway.judge, "decide", lambda _: _HOLD)
    return told


async def push(gateway: Gateway, *refspecs: str) -> None:
    done = await gateway.git("push", gateway.url(_NAME), *refspecs)
    assert done.returncode == 0, done.stderr


async def test_commits_that_came_by_another_branch_are_named_too(gateway: Gateway, told: list[str]) -> None:
    gateway.commit("second")
    await push(gateway, "HEAD:refs/heads/claude/x")
    await push(gateway, "HEAD:refs/heads/main")
    assert "Commits that would arrive from the remote's other branches:" in told[-1]
    assert ": second\n" in told[-1]
    assert ": first\n" not in told[-1]


async def test_beside_those_that_are_sent(gateway: Gateway, told: list[str]) -> None:
    gateway.commit("second")
    await push(gateway, "HEAD:refs/heads/claude/x")
    gateway.commit("third")
    await push(gateway, "HEAD:refs/heads/main")
    sent, _, elsewhere = told[-1].partition("from the remote's other branches:")
    assert "Commits that would arrive (1):" in sent
    assert ": third\n" in sent
    assert ": second\n" in elsewhere


async def test_a_rewind_brings_nothing(gateway: Gateway, told: list[str]) -> None:
    gateway.commit("second")
    await push(gateway, "HEAD:refs/heads/main")
    await push(gateway, "+HEAD~1:refs/heads/main")
    assert "No commit would arrive" in told[-1]
    assert ": second\n" in told[-1].partition("Commits that would be lost:")[2]


async def test_what_takes_too_long_does_not_take_the_rest_along(
    gateway: Gateway, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    monkeypatch.setattr(details, "fetch", never)
    monkeypatch.setattr(details, "_PART_WITHIN", 1.0)
    gateway.commit("second")
    await push(gateway, "HEAD:refs/heads/main")
    assert "Commits that would arrive (1):" in told[-1]
    assert told[-1].endswith("Diff: not known (too much to get from the remote in time)")
