"""A bare repository on this machine's disk, served by git's own programs.

They run in the gateway, as the operator: the upstream is the operator's, and so are its hooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from plugins.git.gateway.pktline import Special, encode
from plugins.git.gateway.repository import end, git_environment
from plugins.git.gateway.upstream import Body, UpstreamError

_CHUNK: Final = 1 << 16


class LocalUpstream:
    """A repository given by its path."""

    def __init__(self, path: Path, *, home: Path) -> None:
        self.path = path
        self.url = str(path)
        self._home = home

    @asynccontextmanager
    async def advertise(self, service: str, protocol: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._serve(service, "--http-backend-info-refs", protocol=protocol) as process:
            yield self._with_banner(service, process)

    @asynccontextmanager
    async def request(self, service: str, body: Body, protocol: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._serve(service, protocol=protocol) as process, asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(_feed(process, body.chunks))
            yield self._output(process)
            feeding.cancel()

    @asynccontextmanager
    async def _serve(
        self, service: str, *options: str, protocol: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        if not self.path.is_dir():
            raise UpstreamError(f"There is no repository at {self.path}.")
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "git", "-c", "safe.directory=*", service.removeprefix("git-"), "--stateless-rpc", *options,
            str(self.path), stdin=pipe, stdout=pipe, stderr=pipe, limit=_CHUNK * 4,
            env={**git_environment(self._home), **({"GIT_PROTOCOL": protocol} if protocol else {})},
        )  # fmt: skip
        try:
            yield process
        finally:
            await end(process)

    async def _with_banner(self, service: str, process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
        first = True
        async for chunk in self._output(process):
            if first:
                yield encode(f"# service={service}\n".encode()) + Special.FLUSH.value
                first = False
            yield chunk

    async def _output(self, process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
        """What the program prints. Raises `UpstreamError` when it ends without having printed anything."""
        if process.stdout is None or process.stderr is None:
            raise UpstreamError("git was started without pipes.")
        silent = True
        while chunk := await process.stdout.read(_CHUNK):
            silent = False
            yield chunk
        if silent and await process.wait():
            complaint = (await process.stderr.read(_CHUNK)).decode("utf-8", "replace").strip()
            last = complaint.splitlines()[-1] if complaint else "no reason given"
            raise UpstreamError(f"{self.path} cannot be used: {last}")


async def _feed(process: asyncio.subprocess.Process, chunks: AsyncIterator[bytes]) -> None:
    if process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        async for chunk in chunks:
            process.stdin.write(chunk)
            await process.stdin.drain()
    process.stdin.close()
