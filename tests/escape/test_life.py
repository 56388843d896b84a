"""The gateway as the agent sees it over time: a new token, a new policy, a crash. Nothing is started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escape.site import Done, Site
from tests.upstream import TOKEN, USER

_NEW = "canary-token-after-rotation"
_PATIENCE = 60.0
_PUSH = "git push origin HEAD:{}"


def _until(place: Site, script: str, *, ends_well: bool = True) -> Done:
    """Run it again and again until it ends as it should."""
    deadline = time.monotonic() + _PATIENCE
    while ((done := place.contained(script)).exit_code == 0) is not ends_well:
        assert time.monotonic() < deadline, done.output
    return done


def _accept(place: Site, token: str) -> None:
    (place.remote.root / "users").write_text(f"{USER}:{token}\n")


def _renew(place: Site, token: str) -> None:
    program = str(Path(sys.executable).with_name("claude-container"))
    subprocess.run(
        [program, "--home", str(place.home.root), "credentials", "renew"],
        check=True, env={**os.environ, "GITHUB_TOKEN": token}, stdout=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def rotated(place: Site) -> Iterator[Site]:
    """The remote takes another token now."""
    _accept(place, _NEW)
    yield place
    _accept(place, TOKEN)
    _renew(place, TOKEN)
    _until(place, "git ls-remote origin")


def test_a_new_token_is_taken_over_while_the_agent_works(rotated: Site) -> None:
    refused = rotated.contained(_PUSH.format("claude/x"))
    assert refused.exit_code != 0
    assert "did not accept GITHUB_TOKEN for" in refused.output
    assert TOKEN not in refused.output
    _renew(rotated, _NEW)
    done = _until(rotated, _PUSH.format("claude/x"))
    assert _NEW not in done.output
    assert rotated.token_found_in() == []


def test_a_saved_policy_counts_for_the_next_push(place: Site) -> None:
    policy = place.home.policy_file("git")
    before = policy.read_text()
    assert place.contained(_PUSH.format("later/x")).exit_code != 0
    policy.write_text(before.replace("[claude/*]", "[claude/*, later/*]"))
    try:
        _until(place, _PUSH.format("later/x"))
    finally:
        policy.write_text(before)
        _until(place, _PUSH.format("later/y"), ends_well=False)


def test_a_gateway_that_crashed_is_back(place: Site) -> None:
    [gateway] = [
        int(pid.name)
        for pid in Path("/proc").glob("[0-9]*")
        if (words := _words(pid)) and "plugins.git.gateway" in words and str(place.home.root) in words
    ]
    os.kill(gateway, signal.SIGKILL)
    _until(place, _PUSH.format("claude/x"))
    assert place.contained(_PUSH.format("main")).exit_code != 0
    assert place.harm() == set()


def _words(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:  # it has ended
        return ""
