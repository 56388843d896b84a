"""A remote that may not be used is refused at the gateway, and written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.git.gateway.process import gateway_process
from tests.upstream import SmartHttp, native


@pytest.mark.parametrize("verb", ["fetch", "push"])
async def test_a_refused_remote_is_recorded(tmp_path: Path, upstream: SmartHttp, verb: str) -> None:
    where = tmp_path / "workspace"
    native("init", "--quiet", str(where))
    native("-C", str(where), "commit", "--quiet", "--allow-empty", "-m", "one")
    upstream.create("private/r.git")
    upstream.create("private/other.git")
    with gateway_process(tmp_path / "g", upstream.url("private/r.git")) as gateway:
        allowed = await gateway.git(where, "ls-remote", gateway.url)
        assert allowed.returncode == 0, allowed.stderr
        assert gateway.said("not allowed") == []
        other = gateway.url.replace("/r.git", "/other.git")
        done = await gateway.git(where, verb, other, "HEAD:refs/heads/claude/x")
        assert "is not allowed by the policy" in done.stderr
        event = await gateway.until_said("is not allowed by the policy")
    assert (event["layer"], event["verdict"], event["rule"]) == ("wire", "blocked", "remotes")
    assert event["args"] == [verb, upstream.url("private/other.git")]
