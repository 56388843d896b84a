"""Whatever git fetches, and however, comes through the gateway as from the remote itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.git.gateway.conftest import Gateway
from tests.upstream import native

_NAME = "private/r.git"
_COMMITS = 5


@pytest.fixture
def repository(gateway: Gateway) -> str:
    """A remote with some commits, a branch and a tag; returns its URL at the gateway."""
    path = gateway.upstream.create(_NAME)
    for number in range(_COMMITS):
        gateway.commit(f"{number}\n" * 100)
    where = str(gateway.workspace)
    native("-C", where, "tag", "-a", "-m", "one", "v1")
    native("-C", where, "push", "--quiet", str(path), "main", "main~1:refs/heads/older", "v1")
    return gateway.url(_NAME)


async def _git(gateway: Gateway, *arguments: str) -> str:
    done = await gateway.git(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
async def clone(gateway: Gateway, repository: str) -> str:
    await _git(gateway, "clone", "--quiet", repository, "clone")
    return str(gateway.workspace / "clone")


async def test_a_shallow_clone_is_shallow_and_can_be_deepened(gateway: Gateway, repository: str) -> None:
    await _git(gateway, "clone", "--quiet", "--depth=2", repository, "shallow")
    assert (await _git(gateway, "-C", "shallow", "rev-list", "--count", "HEAD")).strip() == "2"
    await _git(gateway, "-C", "shallow", "fetch", "--quiet", "--deepen=1")
    assert (await _git(gateway, "-C", "shallow", "rev-list", "--count", "HEAD")).strip() == "3"
    await _git(gateway, "-C", "shallow", "fetch", "--quiet", "--unshallow")
    assert (await _git(gateway, "-C", "shallow", "rev-list", "--count", "HEAD")).strip() == str(_COMMITS)


async def test_a_partial_clone_asks_for_what_is_missing(gateway: Gateway, repository: str) -> None:
    await _git(gateway, "clone", "--quiet", "--filter=blob:none", "--no-checkout", repository, "partial")
    missing = await _git(gateway, "-C", "partial", "rev-list", "--objects", "--all", "--missing=print")
    assert any(line.startswith("?") for line in missing.splitlines())
    await _git(gateway, "-C", "partial", "checkout", "--quiet", "main")
    assert (gateway.workspace / "partial" / "file").read_text().startswith("4\n")


async def test_prune_removes_what_the_remote_has_lost(gateway: Gateway, clone: str) -> None:
    native("-C", str(gateway.upstream.path(_NAME)), "update-ref", "-d", "refs/heads/older")
    await _git(gateway, "-C", clone, "fetch", "--quiet", "--prune")
    assert "older" not in await _git(gateway, "-C", clone, "branch", "--remotes")


async def test_tags_come_along(gateway: Gateway, clone: str) -> None:
    assert (await _git(gateway, "-C", clone, "tag")).split() == ["v1"]
    native("-C", str(gateway.upstream.path(_NAME)), "tag", "v2", "main")
    await _git(gateway, "-C", clone, "fetch", "--quiet", "--tags")
    assert (await _git(gateway, "-C", clone, "tag")).split() == ["v1", "v2"]


@pytest.mark.parametrize("version", ["0", "1", "2"])
async def test_every_version_of_the_protocol_is_passed_on(
    gateway: Gateway, repository: str, version: str
) -> None:
    listing = await _git(gateway, "-c", f"protocol.version={version}", "ls-remote", repository)
    assert "refs/heads/older" in listing
    await _git(gateway, "-c", f"protocol.version={version}", "clone", "--quiet", repository, "clone")
    assert (gateway.workspace / "clone" / "file").exists()


async def test_submodules_are_cloned_from_where_policy_allows(gateway: Gateway, repository: str) -> None:
    library = gateway.upstream.create("private/library.git")
    native("-C", str(gateway.workspace), "push", "--quiet", str(library), "main")
    project = gateway.workspace / "project"
    await _git(gateway, "clone", "--quiet", repository, str(project))
    url = gateway.upstream.url("private/library.git")
    added = await gateway.git("-C", str(project), "submodule", "add", "--quiet", url, "lib", rerouted=True)
    assert added.returncode == 0, added.stderr
    native("-C", str(project), "commit", "--quiet", "-m", "a submodule")
    native("-C", str(project), "push", "--quiet", str(gateway.upstream.path(_NAME)), "HEAD:main")
    again = await gateway.git(
        "clone", "--quiet", "--recurse-submodules", gateway.upstream.url(_NAME), "again", rerouted=True
    )
    assert again.returncode == 0, again.stderr
    assert (gateway.workspace / "again" / "lib" / "file").exists()


async def test_pointers_of_large_files_are_checked_out_as_they_are(gateway: Gateway) -> None:
    """What `git lfs` would fetch lies on a server of its own, which is not reached from here."""
    assert gateway.rerouting.environment("-")["GIT_LFS_SKIP_SMUDGE"] == "1"


async def test_many_refs_are_listed(gateway: Gateway, repository: str, tmp_path: Path) -> None:
    where = gateway.upstream.path(_NAME)
    main = native("-C", str(where), "rev-parse", "main").strip()
    packed = "".join(f"{main} refs/heads/many/n{number:05}\n" for number in range(10_000))
    (where / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + packed)
    listing = await _git(gateway, "ls-remote", repository, "refs/heads/many/*")
    assert listing.count("\n") == 10_000
