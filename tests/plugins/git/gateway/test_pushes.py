"""Real git pushing through the gateway to a real remote: what passes, what does not, and what is seen."""

from __future__ import annotations

import sys

import pytest

from tests.plugins.git.gateway.conftest import Gateway
from tests.upstream import TOKEN, native

_NAME = "private/r.git"

# Takes each push as a proposal: reports another ref, and other values, than were pushed (githooks(5)).
_PROPOSALS = f"""\
#!{sys.executable}
import sys

def read():
    length = int(sys.stdin.buffer.read(4), 16)
    return sys.stdin.buffer.read(length - 4) if length else b""

def write(*lines):
    for line in lines:
        sys.stdout.buffer.write(b"%04x%s" % (len(line) + 4, line))
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()

while read():
    pass
write(b"version=1")
old, new, ref = read().split()
read()
values = b"option old-oid " + b"1" * 40, b"option new-oid " + b"2" * 40
write(b"ok " + ref, b"option refname refs/changes/7", *values)
"""


@pytest.fixture
def repository(gateway: Gateway) -> str:
    """A remote whose main has one commit, which the workspace has too; returns its URL at the gateway."""
    path = gateway.upstream.create(_NAME)
    gateway.commit("first")
    native("-C", str(gateway.workspace), "push", "--quiet", str(path), "main")
    return gateway.url(_NAME)


async def test_a_new_branch_arrives(gateway: Gateway, repository: str) -> None:
    head = gateway.commit("second")
    done = await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    assert done.returncode == 0, done.stderr
    assert gateway.upstream.refs(_NAME)["refs/heads/claude/x"] == head
    assert gateway.judge.arrived == [True]


async def test_a_fast_forward_is_proven_from_what_was_pushed(gateway: Gateway, repository: str) -> None:
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    gateway.commit("second")
    head = gateway.commit("third")
    done = await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    assert done.returncode == 0, done.stderr
    assert gateway.judge.seen[-1].updates[0].fast_forward is True
    assert gateway.upstream.refs(_NAME)["refs/heads/claude/x"] == head


async def test_a_fast_forward_over_commits_the_remote_has_is_proven_by_asking_it(
    gateway: Gateway, repository: str
) -> None:
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    gateway.commit("second")
    gateway.commit("third")
    await gateway.git("push", repository, "HEAD:refs/heads/claude/y")
    done = await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    assert done.returncode == 0, done.stderr
    assert gateway.judge.seen[-1].updates[0].fast_forward is True


async def test_a_protected_branch_is_refused_in_native_shape(gateway: Gateway, repository: str) -> None:
    before = gateway.upstream.refs(_NAME)
    gateway.commit("second")
    done = await gateway.git("push", repository, "main")
    assert done.returncode == 1
    assert "! [remote rejected] main -> main (protected branch)" in done.stderr
    assert "remote: refused by policy" in done.stderr
    assert gateway.upstream.refs(_NAME) == before


async def test_a_push_with_one_refused_ref_is_refused_whole(gateway: Gateway, repository: str) -> None:
    before = gateway.upstream.refs(_NAME)
    gateway.commit("second")
    done = await gateway.git("push", repository, "main", "HEAD:refs/heads/claude/x")
    assert done.returncode == 1
    assert "claude/x (refused with the rest of this push)" in done.stderr
    assert gateway.upstream.refs(_NAME) == before


async def test_nothing_of_a_refused_pack_reaches_the_remote(gateway: Gateway, repository: str) -> None:
    head = gateway.commit("second")
    await gateway.git("push", repository, "main")
    with pytest.raises(Exception, match="cat-file"):
        native("-C", str(gateway.upstream.path(_NAME)), "cat-file", "-e", head)


async def test_a_rewrite_is_seen_whatever_the_client_claims(gateway: Gateway, repository: str) -> None:
    gateway.commit("second")
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    before = gateway.upstream.refs(_NAME)
    native("-C", str(gateway.workspace), "commit", "--quiet", "--amend", "-m", "another")
    done = await gateway.git("push", "--force", repository, "HEAD:refs/heads/claude/x")
    assert "(not a fast-forward)" in done.stderr
    assert gateway.judge.seen[-1].updates[0].fast_forward is False
    assert gateway.upstream.refs(_NAME) == before


async def test_grafts_and_replace_refs_do_not_make_a_fast_forward(gateway: Gateway, repository: str) -> None:
    old = gateway.commit("second")
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    native("-C", str(gateway.workspace), "checkout", "--quiet", "--orphan", "other")
    new = gateway.commit("unrelated")
    native("-C", str(gateway.workspace), "replace", "--graft", new, old)
    assert native("-C", str(gateway.workspace), "merge-base", old, new).strip() == old
    done = await gateway.git("push", repository, f"{new}:refs/heads/claude/x")
    assert "(not a fast-forward)" in done.stderr
    assert gateway.upstream.refs(_NAME)["refs/heads/claude/x"] == old


async def test_a_deletion_is_refused(gateway: Gateway, repository: str) -> None:
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    done = await gateway.git("push", repository, ":refs/heads/claude/x")
    assert "(deletion)" in done.stderr
    assert "refs/heads/claude/x" in gateway.upstream.refs(_NAME)


async def test_many_refs_and_tags_pass_at_once_and_atomically(gateway: Gateway, repository: str) -> None:
    gateway.commit("second")
    specs = [f"HEAD:refs/heads/claude/b{number}" for number in range(200)]
    done = await gateway.git("push", "--atomic", repository, *specs, "HEAD:refs/tags/v1")
    assert done.returncode == 0, done.stderr
    assert len(gateway.upstream.refs(_NAME)) == 202


async def test_an_empty_remote_takes_its_first_push(gateway: Gateway) -> None:
    gateway.upstream.create("private/empty.git")
    gateway.commit("first")
    done = await gateway.git("push", gateway.url("private/empty.git"), "HEAD:refs/heads/claude/x")
    assert done.returncode == 0, done.stderr


async def test_sha256_repositories_behave(gateway: Gateway) -> None:
    gateway.upstream.create("private/s.git", object_format="sha256")
    gateway.workspace.rename(gateway.workspace.with_name("old"))
    native("init", "--quiet", "--object-format=sha256", str(gateway.workspace))
    gateway.commit("first")
    url = gateway.url("private/s.git")
    assert (await gateway.git("push", url, "HEAD:refs/heads/claude/x")).returncode == 0
    gateway.commit("second")
    done = await gateway.git("push", url, "HEAD:refs/heads/claude/x")
    assert done.returncode == 0, done.stderr
    assert gateway.judge.seen[-1].updates[0].fast_forward is True


async def test_a_remote_on_this_disk_is_served_too(gateway: Gateway) -> None:
    path = gateway.upstream.create("local.git")
    gateway.commit("first")
    done = await gateway.git("push", gateway.file_url(path), "HEAD:refs/heads/claude/x")
    assert done.returncode == 0, done.stderr
    listed = await gateway.git("ls-remote", gateway.file_url(path))
    assert "refs/heads/claude/x" in listed.stdout


async def test_a_clone_and_a_fetch_stream_through(gateway: Gateway, repository: str) -> None:
    done = await gateway.git("clone", "--quiet", repository, "../clone")
    assert done.returncode == 0, done.stderr
    shallow = await gateway.git(
        "clone", "--quiet", "--depth=1", "--filter=blob:none", repository, "../shallow"
    )
    assert shallow.returncode == 0, shallow.stderr
    gateway.commit("second")
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    fetched = await gateway.git("-C", "../clone", "fetch", "--prune", "origin")
    assert "claude/x" in fetched.stderr


async def test_a_long_request_which_git_compresses_passes(gateway: Gateway, repository: str) -> None:
    there = str(gateway.upstream.path(_NAME))
    tree = native("-C", there, "rev-parse", "main^{tree}").strip()
    for number in range(30):
        oid = native("-C", there, "commit-tree", "-m", str(number), tree).strip()
        native("-C", there, "update-ref", f"refs/heads/many/{number}", oid)
    wanted = "refs/heads/many/*:refs/heads/got/*"
    done = await gateway.git("-c", "protocol.version=0", "fetch", repository, wanted)
    assert done.returncode == 0, done.stderr


async def test_a_wrong_token_is_told_by_name_and_host_alone(gateway: Gateway, repository: str) -> None:
    (gateway.upstream.root / "users").write_text("x-access-token:another\n")
    done = await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    assert "127.0.0.1 did not accept GITHUB_TOKEN" in done.stderr
    assert TOKEN not in done.stderr


async def test_without_the_capability_there_is_nothing(gateway: Gateway, repository: str) -> None:
    done = await gateway.git("ls-remote", gateway.url(_NAME, capability="guess"))
    assert "not found" in done.stderr


async def test_a_remote_that_moved_on_refuses_the_push(gateway: Gateway, repository: str) -> None:
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    gateway.commit("second")
    hook = gateway.workspace / ".git" / "hooks" / "pre-push"
    other = native("-C", str(gateway.workspace), "commit-tree", "-m", "other", "HEAD^{tree}").strip()
    native(
        "-C",
        str(gateway.workspace),
        "push",
        "--quiet",
        str(gateway.upstream.path(_NAME)),
        f"{other}:refs/heads/z",
    )
    moved = f"git -C {gateway.upstream.path(_NAME)} update-ref refs/heads/claude/x {other}"
    hook.write_text(f"#!/bin/sh\nunset GIT_DIR\nexec {moved}\n")
    hook.chmod(0o755)
    done = await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    assert "(fetch first)" in done.stderr
    assert "moved on" in gateway.judge.refused[0]
    assert gateway.upstream.refs(_NAME)["refs/heads/claude/x"] == other


async def test_the_gateway_keeps_nothing_of_a_push(gateway: Gateway, repository: str) -> None:
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    gateway.commit("second")
    await gateway.git("push", repository, "HEAD:refs/heads/claude/x")
    assert list((gateway.scratch / "quarantine").iterdir()) == []


async def test_an_accepted_push_option_arrives(gateway: Gateway, repository: str) -> None:
    kept = gateway.scratch / "options"
    hook = gateway.upstream.path(_NAME) / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\necho "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0" > {kept}\n')
    hook.chmod(0o755)
    head = gateway.commit("second")
    done = await gateway.git("push", "-o", "ci.skip", repository, "HEAD:refs/heads/claude/x")
    assert done.returncode == 0, done.stderr
    assert gateway.upstream.refs(_NAME)["refs/heads/claude/x"] == head
    assert kept.read_text() == "1 ci.skip\n"


async def test_the_remote_s_longer_report_reaches_the_client(gateway: Gateway, repository: str) -> None:
    there = gateway.upstream.path(_NAME)
    native("-C", str(there), "config", "receive.procReceiveRefs", "refs/heads/claude")
    hook = there / "hooks" / "proc-receive"
    hook.write_text(_PROPOSALS)
    hook.chmod(0o755)
    gateway.commit("second")
    done = await gateway.git("push", "--porcelain", repository, "HEAD:refs/heads/claude/x")
    assert done.returncode == 0, done.stderr
    assert f"HEAD:refs/changes/7\t{'1' * 7}..{'2' * 7}" in done.stdout
    assert gateway.judge.arrived == [True]
