"""The gateway as a process of its own, as the supervisor starts it, that can be killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from plugins.base.control import StartConfig
from tests.upstream import TOKEN, environment, free_port

CAPABILITY: Final = "capability-of-this-start"
_PATIENCE: Final = 60.0
_POLICY: Final = """\
plugin: git
version: 1
credentials: {GITHUB_TOKEN: "${GITHUB_TOKEN}"}
credential_hosts: {GITHUB_TOKEN: [127.0.0.1]}
remotes: {push: [origin], fetch: [origin]}
rules:
  blocked_branches: [main]
  allowed_branch_patterns: [claude/*]
approvals: {on_block: refuse}
limits: {max_pack_bytes: %d}
"""


class GatewayProcess:
    """Started at once; `origin` is the one remote that it may use."""

    def __init__(self, root: Path, origin: str, *, max_pack_bytes: int = 1 << 30) -> None:
        self.root = root
        self.origin = origin
        self.state = root / "state"
        self.port, self.stream_port = free_port(), free_port()
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "policy.yaml").write_text(_POLICY % max_pack_bytes)
        config = StartConfig(
            plugin="git-gateway", socket="", control=str(root / "control.sock"), token="",
            workspace="/nonexistent", state=str(self.state), client="", path=os.environ["PATH"],
            origin=origin, gateway=f"http://127.0.0.1:{self.port}/{CAPABILITY}",
            stream=f"127.0.0.1:{self.stream_port}",
        )  # fmt: skip
        (root / "start.json").write_text(config.model_dump_json())
        self.start()

    def start(self) -> None:
        secrets = {"CLAUDE_CONTAINER_CREDENTIALS": "GITHUB_TOKEN", "GITHUB_TOKEN": TOKEN}
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "plugins.git.gateway", str(self.root / "start.json")],
                env={**os.environ, **secrets}, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + _PATIENCE
        while not self._listens():
            assert self.process.poll() is None, (self.root / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{CAPABILITY}/-/{self.origin.replace('://', '/', 1)}"

    async def git(self, where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = await asyncio.create_subprocess_exec(
            "git", "-C", str(where), *arguments, env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode or 0, out.decode(), err.decode())

    def events(self) -> list[dict[str, Any]]:
        """What it has recorded."""
        files = sorted((self.state / "spool").iterdir())
        lines = [line for path in files for line in path.read_bytes().splitlines(keepends=True)]
        return [json.loads(line[1:]) for line in lines if line.startswith(b"E") and line.endswith(b"\n")]

    def said(self, text: str) -> list[dict[str, Any]]:
        return [event for event in self.events() if text in event["reason"]]

    async def until_said(self, text: str) -> dict[str, Any]:
        async with asyncio.timeout(_PATIENCE):
            while not (found := self.said(text)):  # noqa: ASYNC110 -- another process says it
                await asyncio.sleep(0.05)
        return found[0]


@contextmanager
def gateway_process(root: Path, origin: str, *, max_pack_bytes: int = 1 << 30) -> Iterator[GatewayProcess]:
    here = GatewayProcess(root, origin, max_pack_bytes=max_pack_bytes)
    try:
        yield here
    finally:
        if here.process.poll() is None:
            here.end()
