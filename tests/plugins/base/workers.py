"""A workspace, a worker in it, and what surrounds them, for tests of the real thing."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plugins.base.plugin import Captured
from plugins.base.sandbox import available_isolation
from plugins.base.worker.link import Exit, Running, SandboxSpec, Worker

PYTHON = os.path.realpath(sys.executable)
PATH = f"{os.path.dirname(PYTHON)}:/usr/local/bin:/usr/bin:/bin"
GIT = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
}  # fmt: skip

needs_whole_sandbox = pytest.mark.skipif(
    bool(available_isolation().missing), reason=f"this kernel lacks: {available_isolation().missing}"
)


@dataclass(frozen=True)
class Place:
    """Directories side by side, as they are outside the sandbox. Short names: Unix sockets live here too."""

    root: Path

    @property
    def workspace(self) -> Path:
        return self.root / "w"

    @property
    def private(self) -> Path:
        return self.root / "p"

    @property
    def outside(self) -> Path:
        return self.root / "o"

    def spec(self, *, connect_ports: tuple[int, ...] = (), write: tuple[str, ...] = ()) -> SandboxSpec:
        return SandboxSpec(
            str(self.workspace), str(self.private), PATH, write=write, connect_ports=connect_ports
        )


@contextmanager
def a_place() -> Iterator[Place]:
    place = Place(Path(os.path.realpath(tempfile.mkdtemp(prefix="cc-"))))
    place.workspace.mkdir()
    place.outside.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place.root)


@asynccontextmanager
async def a_worker(spec: SandboxSpec) -> AsyncIterator[Worker]:
    worker = await Worker.start(spec)
    try:
        yield worker
    finally:
        worker.kill()
        await worker.lost()


async def started(worker: Worker, argv: Sequence[str], **how: Any) -> Running:
    """Begin a command, and wait until it is known to have started. Raises why it could not be."""
    running = worker.begin(argv, **how)
    try:
        while not (running.pid or running.ended):  # noqa: ASYNC110 -- nobody else needs to be told
            await asyncio.sleep(0.001)
    except asyncio.CancelledError:
        running.kill()
        raise
    if running.refusal is not None:
        raise running.refusal
    return running


@dataclass
class Bench:
    """A worker and its place, with short words for what tests do all the time."""

    place: Place
    worker: Worker

    async def sh(self, script: str, *arguments: str, cwd: Path | None = None, stdin: bytes = b"") -> Captured:
        return await self.capture("sh", "-c", script, "sh", *arguments, cwd=cwd, stdin=stdin)

    async def capture(self, *argv: str, cwd: Path | None = None, stdin: bytes = b"") -> Captured:
        where = str(cwd or self.place.workspace)
        return await self.worker.capture(argv, cwd=where, environment=GIT, stdin=stdin)

    async def start(self, *argv: str, cwd: Path | None = None, umask: int | None = None) -> Running:
        """Start a command with nothing to read and nowhere to write."""
        null = os.open(os.devnull, os.O_RDWR)
        try:
            return await started(
                self.worker,
                argv,
                cwd=str(cwd or self.place.workspace),
                environment=GIT,
                fds=(null, null, null),
                umask=umask,
            )
        finally:
            os.close(null)

    async def run(self, *argv: str) -> Exit:
        return await (await self.start(*argv)).wait()


class Line:
    """A pipe on which a command says that it got somewhere: no test needs to sleep."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe2(os.O_CLOEXEC)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        if self.theirs >= 0:
            os.close(self.theirs)

    def started(self) -> None:
        os.close(self.theirs)
        self.theirs = -1

    async def read(self) -> bytes:
        """The next that is said; b"" when nobody is left to say anything."""
        return await asyncio.to_thread(os.read, self._ours, 65536)


async def talking(bench: Bench, line: Line, script: str) -> Running:
    """Start a script whose standard output is the line."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        running = await started(
            bench.worker,
            ("sh", "-c", script),
            cwd=str(bench.place.workspace),
            environment=GIT,
            fds=(null, line.theirs, null),
        )
    finally:
        os.close(null)
    line.started()
    return running


def stop(pid: int) -> None:
    """Stop a process and wait until it stands."""
    os.kill(pid, signal.SIGSTOP)
    until(pid, "T")


def until(pid: int, state: str) -> None:
    """Wait until the process is in this state (proc(5): T is stopped, S is asleep)."""
    while Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != state:
        os.sched_yield()
