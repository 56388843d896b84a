"""An approved rewrite: exactly that push, once, with what it takes away kept, and put back when asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.escape.site import PROJECT, Done, Site
from tests.upstream import native

_PATIENCE = 40.0
_REF = "refs/heads/claude/other"


def _command(place: Site, *words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("claude-container")), "--home", str(place.home.root), *words]


def _operator(place: Site, *words: str) -> str:
    return subprocess.run(_command(place, *words), capture_output=True, text=True, check=True).stdout


def _waiting(place: Site) -> list[dict[str, Any]]:
    requests: list[dict[str, Any]] = json.loads(_operator(place, "approvals", "list", "--json"))
    return [request for request in requests if request["state"] == "open"]


@pytest.fixture
def holding(place: Site) -> Iterator[Site]:
    """The site, with an operator who is asked."""
    policy = place.home.policy_file("git")
    before = policy.read_text()
    policy.write_text(before.replace("on_block: refuse", "on_block: hold, hold_seconds: 40"))
    with subprocess.Popen(
        _command(place, "approvals", "watch"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    ) as attached:
        assert attached.stdout is not None
        assert b"Attached" in attached.stdout.readline()
        yield place
        attached.terminate()
    policy.write_text(before)
    deadline = time.monotonic() + _PATIENCE
    while "waiting for the operator" in (done := place.contained("git push origin HEAD:main")).output:
        assert time.monotonic() < deadline, done.output


def _until(place: Site, count: int, *pushes: Future[Done]) -> list[dict[str, Any]]:
    """The waiting requests, when so many commands wait for them."""
    while True:
        waiting = _waiting(place)
        if sum(request["count"] for request in waiting) >= count:
            return waiting
        assert not any(push.done() for push in pushes), [push.result() for push in pushes if push.done()]


def _held(pool: ThreadPoolExecutor, place: Site) -> tuple[Future[Done], str]:
    """A rewrite that waits for the operator, and its request; tried again until the policy is enforced."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        push = pool.submit(place.contained, "git push -f origin HEAD:claude/other")
        while not push.done():
            if waiting := _waiting(place):
                return push, waiting[0]["id"]
        assert time.monotonic() < deadline, push.result().output


def test_a_rewrite_is_approved_once_and_undone(holding: Site) -> None:
    before = holding.remote.refs(PROJECT)
    with ThreadPoolExecutor() as pool:
        push, request = _held(pool, holding)
        assert holding.remote.refs(PROJECT) == before
        _operator(holding, "approvals", "approve", request)
        done = push.result()
        assert done.exit_code == 0, done.output
        assert "waiting for the operator, request" in done.output
        assert holding.remote.refs(PROJECT)[_REF] != before[_REF]
        assert "claude/other" in _operator(holding, "approvals", "undo", request)
        assert holding.remote.refs(PROJECT) == before
        again, second = _held(pool, holding)  # the yes is used up
        assert second != request
        _operator(holding, "approvals", "deny", second)
        assert again.result().exit_code != 0
    assert holding.remote.refs(PROJECT) == before


def _denied_until_done(place: Site, pushes: list[Future[Done]]) -> list[int]:
    """Say no to whatever is asked, until all have ended; their exit statuses, lowest first."""
    while not all(push.done() for push in pushes):
        for request in _waiting(place):
            subprocess.run(
                _command(place, "approvals", "deny", request["id"]), capture_output=True, check=False
            )
    return sorted(push.result().exit_code for push in pushes)


@pytest.mark.parametrize("other", ["HEAD", "main"])
def test_of_two_racing_pushes_one_passes_by_one_yes(holding: Site, other: str) -> None:
    """Whether both push the same commit, and share a request, or each its own."""
    before = holding.remote.refs(PROJECT)
    with ThreadPoolExecutor() as pool:
        first, request = _held(pool, holding)
        second = pool.submit(holding.contained, f"git push -f origin {other}:claude/other")
        asked = _until(holding, 2, first, second)
        assert len(asked) == (1 if other == "HEAD" else 2)
        _operator(holding, "approvals", "approve", request)
        assert _denied_until_done(holding, [first, second]) == [0, 1]
    mine = native("-C", str(holding.workspace), "rev-parse", "HEAD").strip()
    assert holding.remote.refs(PROJECT) == before | {_REF: mine}
