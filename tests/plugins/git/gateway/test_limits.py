"""What happens at each limit: size, number, silence, and a disk that is full."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.base.errors import Denied
from plugins.git.gateway.pack_stream import impatient
from plugins.git.gateway.turns import Busy, Turns
from tests.plugins.git.gateway.process import GatewayProcess, gateway_process
from tests.upstream import SmartHttp, native

_NAME = "private/r.git"
_LARGE = 3 << 20


@pytest.fixture
def workspace(tmp_path: Path, upstream: SmartHttp) -> Path:
    """Its first commit is claude/x at the remote; the second holds more than a small limit lets through."""
    where = tmp_path / "workspace"
    native("init", "--quiet", "--initial-branch=main", str(where))
    native("-C", str(where), "commit", "--quiet", "--allow-empty", "-m", "one")
    native("-C", str(where), "push", "--quiet", str(upstream.create(_NAME)), "HEAD:refs/heads/claude/x")
    (where / "large").write_bytes(os.urandom(_LARGE))
    native("-C", str(where), "add", "large")
    native("-C", str(where), "commit", "--quiet", "-m", "two")
    return where


@pytest.fixture
def small(tmp_path: Path, upstream: SmartHttp) -> Iterator[GatewayProcess]:
    """A gateway that takes at most a megabyte."""
    with gateway_process(tmp_path / "g", upstream.url(_NAME), max_pack_bytes=1 << 20) as gateway:
        yield gateway


@pytest.mark.parametrize("branch", ["claude/x", "claude/new"])
async def test_too_large_a_push_is_refused_and_nothing_of_it_arrives(
    small: GatewayProcess, workspace: Path, upstream: SmartHttp, branch: str
) -> None:
    before = upstream.refs(_NAME)
    done = await small.git(workspace, "push", small.url, f"HEAD:refs/heads/{branch}")
    assert done.returncode != 0
    assert "larger than 1 MiB" in done.stderr
    assert "limits.max_pack_bytes" in done.stderr
    assert "remote rejected" in done.stderr
    assert upstream.refs(_NAME) == before
    done = await small.git(workspace, "push", small.url, "HEAD~1:refs/heads/claude/y")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes for packs that wait to be judged."""
    where = tmp_path / "g" / "state" / "quarantine"
    where.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tiny", str(where)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


async def test_a_full_disk_is_a_clean_refusal(
    tiny_disk: Path, tmp_path: Path, workspace: Path, upstream: SmartHttp
) -> None:
    rewrite = native("-C", str(workspace), "commit-tree", "-m", "other", "HEAD^{tree}").strip()
    before = upstream.refs(_NAME)
    with gateway_process(tmp_path / "g", upstream.url(_NAME)) as gateway:
        done = await gateway.git(workspace, "push", gateway.url, f"+{rewrite}:refs/heads/claude/x")
        assert done.returncode != 0
        assert "disk is full" in done.stderr
        assert "remote rejected" in done.stderr
        assert upstream.refs(_NAME) == before
        done = await gateway.git(workspace, "push", gateway.url, "HEAD~1:refs/heads/claude/y")
        assert done.returncode == 0, done.stderr


async def test_more_pushes_than_fit_are_refused_at_once() -> None:
    turns = Turns(most_open=1)
    async with turns.open():
        with pytest.raises(Busy, match="takes no more"):
            await turns.open().__aenter__()
    async with turns.open():  # and there is room again
        pass


async def test_packs_are_taken_in_few_at_a_time() -> None:
    turns = Turns(most_taken_in=1)
    began = asyncio.Event()

    async def second() -> None:
        async with turns.taking_in():
            began.set()

    async with turns.taking_in():
        task = asyncio.create_task(second())
        await asyncio.sleep(0)
        assert not began.is_set()
    await task
    assert began.is_set()


async def test_a_client_that_says_nothing_is_given_up() -> None:
    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    with pytest.raises(Denied, match="Nothing came"):
        await impatient(never, 0.01)()
