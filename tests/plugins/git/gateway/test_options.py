"""Push options, by real git, at a real remote that takes them."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.git.gateway.process import gateway_process
from tests.upstream import SmartHttp, native

_NAME = "private/r.git"


async def test_a_push_option_that_is_not_named_is_refused(tmp_path: Path, upstream: SmartHttp) -> None:
    where = tmp_path / "workspace"
    native("init", "--quiet", str(where))
    native("-C", str(where), "commit", "--quiet", "--allow-empty", "-m", "one")
    upstream.create(_NAME)
    with gateway_process(tmp_path / "g", upstream.url(_NAME)) as gateway:
        policy = gateway.state / "policy.yaml"
        gateway.end()
        text = policy.read_text().replace("rules:\n", "rules:\n  allowed_push_options: [ci.skip]\n")
        policy.write_text(text)
        gateway.start()
        spec = "HEAD:refs/heads/claude/x"
        refused = await gateway.git(where, "push", "-o", "merge_request.create", gateway.url, spec)
        assert refused.returncode == 1
        assert "The push option 'merge_request.create' may not be sent." in refused.stderr
        assert upstream.refs(_NAME) == {}
        taken = await gateway.git(where, "push", "-o", "ci.skip", gateway.url, spec)
        assert taken.returncode == 0, taken.stderr
        assert "refs/heads/claude/x" in upstream.refs(_NAME)
