"""What an approved rewrite takes away can be put back, even when the remote has forgotten it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError, Denied
from plugins.base.model import RefUpdate
from plugins.git.gateway.backup import Backups
from plugins.git.gateway.local_upstream import LocalUpstream
from plugins.git.gateway.proofs import Judged
from tests.plugins.git.gateway.conftest import Gateway
from tests.upstream import native

_BRANCH = "refs/heads/claude/x"


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    return Backups(tmp_path / "backups")


@pytest.fixture
def remote(gateway: Gateway, tmp_path: Path) -> LocalUpstream:
    path = gateway.upstream.create("r.git")
    gateway.commit("first")
    gateway.commit("second")
    native(
        "-C",
        str(gateway.workspace),
        "push",
        "--quiet",
        str(path),
        "HEAD~1:refs/heads/main",
        f"HEAD:{_BRANCH}",
    )
    return LocalUpstream(path, home=tmp_path)


def _refs(remote: LocalUpstream) -> dict[str, str]:
    lines = native("-C", str(remote.path), "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split() for line in lines)


def _lose(remote: LocalUpstream, update: RefUpdate) -> None:
    """Do to the remote what was approved, and let it forget what it had."""
    where = str(remote.path)
    native("-C", where, "update-ref", *(["-d", update.ref] if update.deletes else [update.ref, update.new]))
    native("-C", where, "reflog", "expire", "--expire=now", "--all")
    native("-C", where, "gc", "--quiet", "--prune=now")


async def test_pushes_that_are_approved_at_once_are_all_kept(remote: LocalUpstream, backups: Backups) -> None:
    before = _refs(remote)
    push = Judged(remote, (RefUpdate(_BRANCH, before[_BRANCH], "0" * 40, False),))
    requests = ["abcd2345", "abcd2345", "bcde3456", "cdef4567"]
    await asyncio.gather(*(backups.save(request, push) for request in requests))
    assert {backups.find(request)[0].old for request in requests} == {before[_BRANCH]}


@pytest.mark.parametrize("kind", ["deletion", "rewrite"])
async def test_a_lost_value_is_put_back(remote: LocalUpstream, backups: Backups, kind: str) -> None:
    before = _refs(remote)
    new = "0" * 40 if kind == "deletion" else before["refs/heads/main"]
    update = RefUpdate(_BRANCH, before[_BRANCH], new, False)
    await backups.save("abcd2345", Judged(remote, (update,)))
    _lose(remote, update)
    assert _refs(remote) != before
    assert await backups.restore("abcd2345", remote) == (_BRANCH,)
    assert _refs(remote) == before
    assert await backups.restore("abcd2345", remote) == (_BRANCH,)


async def test_a_ref_that_moved_on_is_not_overwritten(remote: LocalUpstream, backups: Backups) -> None:
    before = _refs(remote)
    update = RefUpdate(_BRANCH, before[_BRANCH], "0" * 40)
    await backups.save("abcd2345", Judged(remote, (update,)))
    native("-C", str(remote.path), "update-ref", _BRANCH, before["refs/heads/main"])
    with pytest.raises(Denied, match="changed again"):
        await backups.restore("abcd2345", remote)


async def test_nothing_to_undo_is_said_clearly(remote: LocalUpstream, backups: Backups) -> None:
    with pytest.raises(ClaudeContainerError, match="nothing to undo"):
        await backups.restore("abcd2345", remote)
    with pytest.raises(ClaudeContainerError, match="not the id"):
        backups.find("../../etc")
