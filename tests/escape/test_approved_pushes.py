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
