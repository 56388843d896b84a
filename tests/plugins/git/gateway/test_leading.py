"""The commits at the begin of a pack: found whatever pieces it comes in, and checked by git."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plugins.git.gateway import leading
from plugins.git.gateway.leading import LeadingCommits
from plugins.git.gateway.repository import GitFailed, Repository
from tests.escape import packs
from tests.upstream import environment, native

_FIRST = packs.entry(packs.COMMIT, packs.commit())
_SECOND = packs.entry(packs.COMMIT, packs.commit(b"parent " + b"a" * 40))
_BLOB = packs.entry(packs.BLOB, b"content" * 100)


async def _pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def _look(data: bytes, size: int = 1 << 16) -> tuple[bytes, bytes]:
    look = LeadingCommits(_pieces(data, size))
    found = await look.pack("sha1")
    return found, b"".join([chunk async for chunk in look.everything()])


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ((_FIRST, _SECOND, _BLOB), (_FIRST, _SECOND)),
        ((_FIRST,), (_FIRST,)),
        ((_FIRST, _BLOB, _SECOND), (_FIRST,)),
        ((_BLOB, _FIRST), ()),
        ((), ()),
    ],
)
async def test_what_leads_is_a_pack_of_its_own(
    entries: tuple[packs.Entry, ...], found: tuple[packs.Entry, ...], size: int
) -> None:
    whole = packs.pack(*entries)
    assert await _look(whole, size) == (packs.pack(*found) if found else b"", whole)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PACK",
        b"KCAP" + packs.pack(_FIRST)[4:],
        packs.pack(_FIRST)[:40],
        packs.pack((packs.COMMIT, 10, b"not zlib at all")),
        packs.pack((packs.COMMIT, 1 << 60, b"")),
        packs.pack(packs.ref_delta("a" * 40, 1, b"")),
    ],
)
async def test_what_is_no_commit_is_none_and_stays_as_it_is(data: bytes) -> None:
    assert await _look(data) == (b"", data)


async def test_what_inflates_without_end_is_not_followed() -> None:
    bomb = packs.pack(packs.entry(packs.COMMIT, bytes(40 << 20)))
    assert await _look(bomb) == (b"", bomb)


async def test_of_very_many_objects_some_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "_MOST_OBJECTS", 2)
    whole = packs.pack(_FIRST, _SECOND, _FIRST, _BLOB)
    assert await _look(whole) == (packs.pack(_FIRST, _SECOND), whole)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
async def test_git_takes_what_leads_as_a_pack_of_its_own(tmp_path: Path, object_format: str) -> None:
    where = str(tmp_path / "r")
    made = _with_deltas(where, object_format)
    found = await LeadingCommits(_pieces(made, 1000)).pack(object_format)
    ours = Repository(tmp_path / "git", home=tmp_path)
    await ours.create(object_format)
    await ours.index_pack(_pieces(found, 1000), max_bytes=len(found))
    commits = await ours.commits()
    assert sorted(commits) == sorted(native("-C", where, "rev-list", "--all").split())


def _with_deltas(where: str, object_format: str) -> bytes:
    """A pack of thirty commits, most of them deltas on others, and a file."""
    native("init", "--quiet", f"--object-format={object_format}", where)
    (Path(where) / "file").write_text("content")
    native("-C", where, "add", "file")
    for number in range(30):
        text = f"{number}\n\n" + "the same words in each message\n" * 40
        native("-C", where, "commit", "--quiet", "--allow-empty", "-m", text)
    return subprocess.run(
        ["git", "-C", where, "pack-objects", "--revs", "--all", "--stdout", "--delta-base-offset", "--quiet"],
        input=b"", capture_output=True, check=True, env=environment(),
    ).stdout  # fmt: skip


async def test_a_commit_that_is_not_what_it_says_git_does_not_take(tmp_path: Path) -> None:
    """A delta whose base lies where no object begins."""
    kind, _, content = packs.entry(6, b"\x01\x01\x90")
    found, _ = await _look(packs.pack(_FIRST, (kind, 3, b"\x05" + content), _BLOB))
    ours = Repository(tmp_path / "git", home=tmp_path)
    await ours.create("sha1")
    with pytest.raises(GitFailed):
        await ours.index_pack(_pieces(found, 1000), max_bytes=len(found))
