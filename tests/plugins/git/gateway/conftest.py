"""A gateway on loopback in front of a real smart-HTTP remote, with a judge that tests set up."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from plugins.base.errors import Denied
from plugins.base.model import Decision, Reason
from plugins.git.gateway.history import Histories
from plugins.git.gateway.http_upstream import Authorization, HttpUpstream
from plugins.git.gateway.local_upstream import LocalUpstream
from plugins.git.gateway.proofs import Judged
from plugins.git.gateway.push import Judge, Pushes, Send, Settled
from plugins.git.gateway.receive_pack import Refusal
from plugins.git.gateway.server import Asked, Server
from plugins.git.gateway.stream import StreamServer
from plugins.git.gateway.upstream import Upstream
from plugins.git.rerouting import Rerouting
from supervisor.assets import client_binary
from tests.upstream import TOKEN, USER, SmartHttp, environment, free_port, native

CAPABILITY = "capability-of-this-start"


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[SmartHttp]:
    root = tmp_path / "upstream"
    root.mkdir()
    with SmartHttp(root) as server:
        yield server


@dataclass
class RecordingJudge:
    """Refuses `main`, deletions and rewrites; records what it was shown."""

    seen: list[Judged] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # before they were judged
    arrived: list[bool | None] = field(default_factory=list)

    def decide(self, push: Judged) -> Decision:
        reasons: list[Reason] = []
        for update in push.updates:
            if update.ref == "refs/heads/main":
                reasons.append(Reason("blocked_branches", "protected branch", ref=update.ref))
            if update.deletes:
                reasons.append(Reason("allow_delete_remote", "deletion", ref=update.ref))
            if update.rewrites:
                reasons.append(Reason("allow_force_push", "not a fast-forward", ref=update.ref))
        return Decision(tuple(reasons))

    async def settle(self, push: Judged, decision: Decision, remark: Send) -> Settled:
        self.seen.append(push)
        refs = {reason.ref: reason.message for reason in decision.reasons}
        return Settled(decision.allowed, Refusal(refs, ("refused by policy",) if refs else ()))

    def turned_down(self, push: Judged, reason: str) -> None:
        self.refused.append(reason)

    def begin(self, push: Judged) -> None:
        return

    async def done(self, push: Judged, *, arrived: bool | None, answered: bool) -> None:
        self.arrived.append(arrived)


class TestRemotes:
    """Everything on the test's own server and disk is allowed; the token goes to `private/` alone."""

    __test__ = False

    def __init__(self, session: aiohttp.ClientSession, home: Path, port: int) -> None:
        self._session, self._home, self._port = session, home, port
        self.the_judge = RecordingJudge()
        self.seen_refused: list[tuple[Asked, str]] = []

    def for_fetch(self, scheme: str, rest: str) -> Upstream:
        if scheme == "file":
            return LocalUpstream(Path("/" + rest), home=self._home)
        if rest.startswith("git.example/"):  # as an ssh URL comes: over to the same repository
            scheme, rest = "http", f"127.0.0.1:{self._port}/git/{rest.removeprefix('git.example/')}"
        if not rest.startswith(f"127.0.0.1:{self._port}/"):
            raise Denied("This remote is not allowed.")
        return HttpUpstream(
            self._session, f"{scheme}://{rest}", authorize=self._authorize,
            allowed=lambda url: f"127.0.0.1:{self._port}/git/" in url,
        )  # fmt: skip

    for_push = for_fetch

    def refused(self, asked: Asked, error: Denied) -> None:
        self.seen_refused.append((asked, error.message))

    def judge(self, command: str) -> Judge:
        return self.the_judge

    def _authorize(self, url: str) -> Authorization | None:
        if "/git/private/" not in url or f"127.0.0.1:{self._port}/" not in url:
            return None
        value = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        return Authorization("GITHUB_TOKEN", lambda: f"Basic {value}")


@dataclass
class Gateway:
    """A running gateway, a clone's worth of workspace, and git as an agent would run it."""

    port: int
    judge: RecordingJudge
    workspace: Path
    upstream: SmartHttp
    scratch: Path
    rerouting: Rerouting

    def url(self, name: str, *, capability: str = CAPABILITY) -> str:
        return f"http://127.0.0.1:{self.port}/{capability}/-/http/127.0.0.1:{self.upstream.port}/git/{name}"

    def file_url(self, path: Path) -> str:
        return f"http://127.0.0.1:{self.port}/{CAPABILITY}/-/file{path}"

    async def git(self, *arguments: str, rerouted: bool = False) -> subprocess.CompletedProcess[str]:
        """Run git beside the gateway; `rerouted`: with the stand-ins that the worker's git has."""
        ours = self.rerouting.environment("-") if rerouted else {}
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=self.workspace, env={**environment(), **ours},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return subprocess.CompletedProcess(
            arguments, process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        )

    def commit(self, text: str, *, repository: Path | None = None) -> str:
        where = repository or self.workspace
        (where / "file").write_text(text)
        native("-C", str(where), "add", "file")
        native("-C", str(where), "commit", "--quiet", "-m", text)
        return native("-C", str(where), "rev-parse", "HEAD").strip()


def _client() -> Path:
    client = client_binary()
    if client is None:
        pytest.skip("there is no plugin-client, and no compiler to build it")
    return client


@pytest.fixture
async def gateway(tmp_path: Path, upstream: SmartHttp) -> AsyncIterator[Gateway]:
    home = tmp_path / "gateway"
    home.mkdir()
    port = free_port()
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        remotes = TestRemotes(session, home, upstream.port)
        pushes = Pushes(Histories(home / "histories"), home / "quarantine", lambda: 1 << 30)
        runner = Server(CAPABILITY, remotes, pushes).runner()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        workspace = tmp_path / "workspace"
        native("init", "--quiet", "--initial-branch=main", str(workspace))
        stream = StreamServer(CAPABILITY, remotes, pushes)
        streams = await asyncio.start_server(stream.serve, "127.0.0.1", 0)
        at = streams.sockets[0].getsockname()[1]
        rerouting = Rerouting(home / "rerouting", f"http://127.0.0.1:{port}/{CAPABILITY}", f"127.0.0.1:{at}")
        rerouting.install(native("--exec-path").strip(), str(_client()))
        yield Gateway(port, remotes.the_judge, workspace, upstream, home, rerouting)
        streams.close()
        await runner.cleanup()
