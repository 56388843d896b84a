"""The git plugin as it is served: server, worker, sandbox, the real client as `git`, and a real upstream."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from plugins.base.main import PluginProcess
from plugins.base.plugin import Captured
from plugins.git.plugin import GitPlugin
from supervisor.assets import client_binary
from tests.plugins.base.harness import Box, box_for
from tests.plugins.base.supervisor import WITHIN
from tests.plugins.git.box import DEFAULT_POLICY, IDENTITY, native


@dataclass
class Served:
    """An agent's view: `git` is the client; beside it, what really is on disk."""

    box: Box

    @property
    def project(self) -> Path:
        return self.box.workspace

    @property
    def upstream(self) -> Path:
        return self.box.root / "upstream.git"

    async def git(
        self, *arguments: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Captured:
        """Run the wrapper as an agent would."""
        process = await asyncio.create_subprocess_exec(
            str(self.box.root / "cli" / "git"), *arguments, cwd=cwd or self.project,
            env={**self.environment, **(environment or {})}, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(WITHIN):
            out, err = await process.communicate()
        return Captured(process.returncode or 0, out, err)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **IDENTITY, "PLUGIN_SOCKET_DIR": str(self.box.root / "s"), "LC_ALL": "C.UTF-8",
            "PATH": f"{self.box.root / 'cli'}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip

    async def commit(self, name: str, text: str = "x\n", message: str = "Add something") -> None:
        (self.project / name).write_text(text)
        for arguments in (("add", name), ("commit", "-q", "-m", message)):
            done = await self.git(*arguments)
            assert done.exit_code == 0, done.stderr.decode()

    def upstream_has(self, ref: str) -> str:
        return native("rev-parse", "--verify", "--quiet", ref, cwd=self.upstream, check=False)


@asynccontextmanager
async def served(policy: str | None = None) -> AsyncIterator[Served]:
    """A project with one commit on main, pushed, and claude/old."""
    client = client_binary()
    if client is None:
        pytest.skip("plugin-client is not built and there is no C compiler")
    async with box_for("git", policy or DEFAULT_POLICY.read_text()) as box:
        here = Served(box)
        native("init", "-q", "--bare", "-b", "main", str(here.upstream), cwd=box.root)
        native("init", "-q", "-b", "main", cwd=here.project)
        native("commit", "-q", "--allow-empty", "-m", "First", cwd=here.project)
        native("remote", "add", "origin", str(here.upstream), cwd=here.project)
        native("push", "-q", "-u", "origin", "main", cwd=here.project)
        native("push", "-q", "origin", "main:claude/old", cwd=here.project)
        (box.root / "cli").mkdir()
        shutil.copy(client, box.root / "cli" / "git")
        box.config = box.config.model_copy(update={"client": str(client), "origin": str(here.upstream)})
        process = PluginProcess(box.config, GitPlugin(box.config))
        running = asyncio.create_task(process.run())
        try:
            await box.until_healthy()
            yield here
        finally:
            process.stop()
            async with asyncio.timeout(WITHIN):
                await running
