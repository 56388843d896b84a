"""A repository with a real git-lfs: pointers come and go; what cannot be brought to its server is told."""

from __future__ import annotations

import shutil

import pytest

from tests.escape.site import PROJECT, Done, Site
from tests.upstream import native

pytestmark = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")

_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 100000\n"
_FILTERS = """\
git config filter.lfs.clean 'git-lfs clean -- %f'
git config filter.lfs.smudge 'git-lfs smudge -- %f'
git config filter.lfs.required true
"""
_HOOK = """\
printf '#!/bin/sh\\nexec git lfs pre-push "$@"\\n' >.git/hooks/pre-push
chmod +x .git/hooks/pre-push
"""


@pytest.fixture
def large(place: Site) -> Site:
    """The site; its claude/other has a pointer at a file that only the server of large files has."""
    where = str(place.workspace)
    native("-C", where, "switch", "--quiet", "-c", "claude/large", "origin/claude/other")
    (place.workspace / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (place.workspace / "a.bin").write_text(_POINTER)
    native("-C", where, "-c", "filter.lfs.clean=cat", "-c", "filter.lfs.process=", "add", "-A")
    native("-C", where, "commit", "--quiet", "-m", "large")
    native("-C", where, "push", "--quiet", str(place.remote.path(PROJECT)), "HEAD:claude/large")
    return place


def _fine(done: Done) -> str:
    assert done.exit_code == 0, done.output
    return done.output


def test_pointers_are_cloned_and_pushed_as_they_are(large: Site) -> None:
    _fine(large.contained("git clone -q -b claude/large $ORIGIN c"))
    assert (large.workspace / "c" / "a.bin").read_text() == _POINTER
    there_and_back = "git checkout -q HEAD~1 && git checkout -q -"
    looks = f"git status --short && git lfs ls-files --name-only && {there_and_back}"
    assert _fine(large.contained(f"cd c\n{_FILTERS}{looks}")) == "a.bin\n"
    assert (large.workspace / "c" / "a.bin").read_text() == _POINTER
    more = "echo more >more && git add more && git commit -qm more && git push -q origin HEAD:claude/large"
    _fine(large.contained(f"cd c\n{_FILTERS}{_HOOK}{more}"))
    assert large.harm() == set()
    shown = native("-C", str(large.remote.path(PROJECT)), "ls-tree", "--name-only", "claude/large")
    assert "more" in shown.splitlines()


def test_content_that_the_server_would_not_get_is_not_pushed(large: Site) -> None:
    """git-lfs brings it there before the push, which it cannot from here: then the push does not happen."""
    before = large.all_refs()
    new = "head -c 1000 /dev/urandom >b.bin && git add b.bin && git commit -qm new && git push origin HEAD"
    done = large.contained(f"{_FILTERS}{_HOOK}{new}")
    assert done.exit_code != 0
    assert "failed to push some refs" in done.output
    assert large.all_refs() == before
    assert "/info/lfs" not in large.remote.log()


@pytest.mark.parametrize("command", ["pull", "fetch", "push origin HEAD", "locks"])
def test_what_needs_the_server_of_large_files_is_refused_in_a_sentence(large: Site, command: str) -> None:
    done = large.contained(f"git lfs {command}")
    assert done.exit_code == 1
    assert "talks to a server that is not reached from here" in done.output
