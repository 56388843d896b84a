"""Where the gateway goes, and what it says there: remotes by pattern, credentials by host and repository."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from plugins.base.errors import Denied
from plugins.base.policy import parse_policy
from plugins.base.secrets import Secret
from plugins.git.gateway.http_upstream import HttpUpstream
from plugins.git.gateway.remotes import AllowedRemotes
from plugins.git.rules import GitRules

_POLICY = """\
plugin: git
version: 1
credentials: {GITHUB_TOKEN: "${GITHUB_TOKEN}"}
credential_hosts: {GITHUB_TOKEN: [github.com]}
remotes:
  push: [origin]
  fetch:
    - origin
    - https://github.com/*
    - https://github.com/friends/*
    - http://127.0.0.1:8080/*
    - /srv/git/*
rules:
  blocked_branches: [main]
"""

Make = Callable[..., AllowedRemotes]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    policy = parse_policy(_POLICY, rules_model=GitRules, plugin="git")
    async with aiohttp.ClientSession() as session:

        def build(origin: str = "git@github.com:me/project.git", valid: bool = True) -> AllowedRemotes:
            secrets = {"GITHUB_TOKEN": Secret(b"canary")}
            return AllowedRemotes(lambda: policy if valid else None, origin, secrets, session, tmp_path)

        yield build


@pytest.mark.parametrize(
    "rest", ["github.com/me/project.git", "github.com/me/project", "GitHub.com/me/project"]
)
async def test_the_pinned_origin_may_be_pushed_to(make: Make, rest: str) -> None:
    assert make().for_push("https", rest).url.startswith("https://github.com/me/project")


@pytest.mark.parametrize(
    ("scheme", "rest"),
    [
        ("https", "github.com/me/other"), ("https", "github.com/me/project2"),
        ("https", "github.com/me/project/x"),
        ("http", "github.com/me/project"), ("https", "evil.example/me/project"),
        ("https", "github.com.evil.example/me/project"), ("https", "github.com:444/me/project"),
        ("https", "github.com/me/../me/project"), ("https", "github.com/me%2fproject"),
        ("https", "x@evil.example/me/project"), ("file", "me/project"), ("file", "srv/git/x"),
    ],
)  # fmt: skip
async def test_nothing_else_may_be_pushed_to(make: Make, scheme: str, rest: str) -> None:
    with pytest.raises(Denied):
        make().for_push(scheme, rest)


async def test_without_origin_or_policy_nothing_may_be_pushed(make: Make) -> None:
    with pytest.raises(Denied):
        make(origin="").for_push("https", "github.com/me/project")
    with pytest.raises(Denied, match="no valid policy"):
        make(valid=False).for_push("https", "github.com/me/project")


async def test_a_repository_that_the_agent_can_write_is_not_served(make: Make, tmp_path: Path) -> None:
    """git would run its hooks in the gateway: outside of every sandbox, beside the credential."""
    workspace, outside = tmp_path / "w", tmp_path / "served"
    for directory in (workspace / "r.git", outside):
        directory.mkdir(parents=True)
    (outside / "link.git").symlink_to(workspace / "r.git")
    remotes = replace(make(origin=f"{tmp_path}/served/r.git"), workspace=workspace)
    policy = parse_policy(
        f"plugin: git\nversion: 1\nremotes: {{push: ['{tmp_path}/*'], fetch: []}}\nrules: {{}}\n",
        rules_model=GitRules, plugin="git",
    )  # fmt: skip
    remotes = replace(remotes, policy=lambda: policy)
    assert remotes.for_push("file", f"{outside}/r.git".lstrip("/"))
    for path in (workspace / "r.git", outside / "link.git", workspace):
        for opened in (remotes.for_push, remotes.for_fetch):
            with pytest.raises(Denied, match="lies in the workspace"):
                opened("file", str(path).lstrip("/"))


@pytest.mark.parametrize(
    ("scheme", "rest"),
    [("https", "github.com/any/thing"), ("http", "127.0.0.1:8080/x/y"), ("file", "srv/git/lib.git")],
)
async def test_what_policy_names_may_be_fetched(make: Make, scheme: str, rest: str) -> None:
    assert make().for_fetch(scheme, rest)


async def test_plain_http_to_another_machine_must_be_named_in_full(make: Make) -> None:
    with pytest.raises(Denied, match="not allowed"):
        make().for_fetch("http", "github.com/any/thing")


@pytest.mark.parametrize(
    ("rest", "sent"),
    [
        ("github.com/me/project", True),
        ("github.com/friends/library", True),
        ("github.com/strangers/library", False),
    ],
)
async def test_the_credential_goes_to_named_repositories_alone(make: Make, rest: str, sent: bool) -> None:
    remote = make().for_fetch("https", rest)
    assert isinstance(remote, HttpUpstream)
    authorization = remote._authorize(remote.url)
    assert (authorization is not None) is sent
    if authorization is not None:
        assert authorization.name == "GITHUB_TOKEN"
        assert authorization.header().startswith("Basic ")


@pytest.mark.parametrize(
    "url", ["https://evil.example/me/project", "https://github.com.evil.example/me/project"]
)
async def test_the_credential_never_goes_to_another_host(make: Make, url: str) -> None:
    remote = make().for_push("https", "github.com/me/project")
    assert isinstance(remote, HttpUpstream)
    assert remote._authorize(url) is None
    assert not remote._allowed(url)
