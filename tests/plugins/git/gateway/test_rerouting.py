"""git keeps its own URLs, of every kind, and reaches the gateway all the same."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.plugins.git.gateway.conftest import Gateway
from tests.upstream import native

_NAME = "private/r.git"


@pytest.fixture(params=["http", "ssh", "scp", "path", "file"])
def remote(request: pytest.FixtureRequest, gateway: Gateway) -> str:
    """A remote with one commit on main, by URLs of each kind; the workspace has the commit too."""
    path = gateway.upstream.create(_NAME)
    gateway.commit("first")
    native("-C", str(gateway.workspace), "push", "--quiet", str(path), "main")
    urls = {
        "http": gateway.upstream.url(_NAME),
        "ssh": f"ssh://git@git.example:2222/{_NAME}",
        "scp": f"git@git.example:{_NAME}",
        "path": str(path),
        "file": f"file://{path}",
    }
    native("-C", str(gateway.workspace), "remote", "add", "origin", urls[request.param])
    if request.param in ("path", "file"):
        # What the worker cannot see is what the stand-ins ask the gateway for.
        (gateway.rerouting.root / "exec" / "git-receive-pack").write_text(_blind(gateway, "git-receive-pack"))
        (gateway.rerouting.root / "exec" / "git-upload-pack").write_text(_blind(gateway, "git-upload-pack"))
    return urls[request.param]


def _blind(gateway: Gateway, name: str) -> str:
    text = (gateway.rerouting.root / "exec" / name).read_text()
    return text.replace('[ -f "$mine" ]', "false")


async def test_push_and_fetch_reach_the_gateway(gateway: Gateway, remote: str) -> None:
    head = gateway.commit("second")
    pushed = await gateway.git("push", "origin", "HEAD:refs/heads/claude/x", rerouted=True)
    assert pushed.returncode == 0, pushed.stderr
    assert f"To {remote.replace('git@', '')}" in pushed.stderr  # git leaves the user out itself
    assert len(gateway.judge.seen) == 1
    assert gateway.upstream.refs(_NAME)["refs/heads/claude/x"] == head
    fetched = await gateway.git("fetch", "origin", rerouted=True)
    assert fetched.returncode == 0, fetched.stderr
    assert "origin/main" in fetched.stderr


async def test_a_fast_forward_and_a_refusal_look_native(gateway: Gateway, remote: str) -> None:
    await gateway.git("push", "origin", "HEAD:refs/heads/claude/x", rerouted=True)
    gateway.commit("second")
    done = await gateway.git("push", "origin", "HEAD:refs/heads/claude/x", rerouted=True)
    assert done.returncode == 0, done.stderr
    assert gateway.judge.seen[-1].updates[0].fast_forward is True
    refused = await gateway.git("push", "origin", "main", rerouted=True)
    assert refused.returncode == 1
    assert "! [remote rejected] main -> main (protected branch)" in refused.stderr
    assert "remote: refused by policy" in refused.stderr
    assert "127.0.0.1" not in refused.stderr or remote.startswith("http")


async def test_a_clone_brings_the_history(gateway: Gateway, remote: str) -> None:
    if not remote.startswith("/"):
        done = await gateway.git("clone", "--quiet", remote, "../clone", rerouted=True)
        assert done.returncode == 0, done.stderr
        assert (
            native("-C", str(gateway.workspace.parent / "clone"), "remote", "get-url", "origin").strip()
            == remote
        )


async def test_an_http_remote_waits_for_a_gateway_that_is_just_being_started(gateway: Gateway) -> None:
    gateway.upstream.create(_NAME)
    with socket.socket() as door:  # nobody listens there yet
        door.bind(("127.0.0.1", 0))
        stream = f"127.0.0.1:{door.getsockname()[1]}"
        gateway.rerouting = replace(gateway.rerouting, stream=stream)
        asking = asyncio.create_task(gateway.git("ls-remote", gateway.upstream.url(_NAME), rerouted=True))
        while not _waits(stream):
            assert not asking.done()
            await asyncio.sleep(0.01)
        door.listen()
        done = await asking
    assert done.returncode == 0, done.stderr


def _waits(stream: str) -> bool:
    """Whether a process asks for the gateway at this address."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            asks = b"--await-gateway" in (process / "cmdline").read_bytes()
            if asks and stream.encode() in (process / "environ").read_bytes():
                return True
    return False


async def test_an_up_to_date_push_says_so(gateway: Gateway, remote: str) -> None:
    done = await gateway.git("push", "origin", "main", rerouted=True)
    assert "Everything up-to-date" in done.stderr
    assert gateway.judge.seen == []
