"""Git repositories of the gateway's own, and how it runs git on them.

Nothing of a workspace is ever read here: no configuration, no grafts, no replace refs, no shallow
files, no commit-graphs but those that this process made itself.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import resource
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from plugins.base.errors import Denied

_LONGEST_COMPLAINT: Final = 2000
_PIPE_LIMIT: Final = 1 << 20
_MOST_MEMORY: Final = 4 << 30  # bytes that one git may allocate: a small pack can claim to hold anything
_LONGEST_COMMIT: Final = 16 << 20  # bytes of one commit object
_PORTION: Final = 64 << 20  # bytes of commits that are read at once
_PACK_NAME: Final = re.compile(rb"(?:pack|keep)\t([0-9a-f]{40}|[0-9a-f]{64})\n")
_TREE: Final = re.compile(rb"tree (?:[0-9a-f]{40}|[0-9a-f]{64})\n")
_PARENT: Final = re.compile(rb"parent ([0-9a-f]{40}|[0-9a-f]{64})\n")

Parents = dict[str, tuple[str, ...]]  # commit -> its parents


class GitFailed(Denied):
    """git itself failed in a repository of the gateway."""


def git_environment(home: Path) -> dict[str, str]:
    """The whole environment of a git that the gateway runs. Holds no credential."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
    }


class Repository:
    """A bare repository that the gateway alone writes."""

    def __init__(self, path: Path, *, home: Path, lasting: bool = True) -> None:
        """`lasting`: what is stored is synced to the disk."""
        self.path = path
        self._environment = git_environment(home)
        self._options = ("-c", "core.commitGraph=false", *(() if lasting else ("-c", "core.fsync=none")))

    async def create(self, object_format: str) -> None:
        """Make it if it is not there."""
        if not (self.path / "HEAD").exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            await self._run("init", "--quiet", "--bare", f"--object-format={object_format}", str(self.path))

    async def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run git here; returns what it printed. Raises `GitFailed`."""
        return await self._run("--git-dir", str(self.path), *arguments, stdin=stdin)

    async def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        process = await self._spawn(arguments)
        out, err = await process.communicate(stdin)
        if process.returncode:
            raise _failure(arguments, err)
        return out

    async def _spawn(self, arguments: Sequence[str]) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "git", *self._options, *arguments, env=self._environment,
            stdin=pipe, stdout=pipe, stderr=pipe, limit=_PIPE_LIMIT,
        )  # fmt: skip
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
        return process

    async def index_pack(
        self, chunks: AsyncIterator[bytes], *, max_bytes: int, promised: bool = False
    ) -> Path:
        """Store a pack that comes in pieces. Returns its file, byte for byte what came.

        A thin pack, a damaged one, and one that is larger than `max_bytes` raise `GitFailed`.
        """
        process = await self._spawn(
            ["--git-dir", str(self.path), "index-pack", "--stdin", f"--max-input-size={max_bytes}",
             *(["--promisor"] if promised else [])]
        )  # fmt: skip
        try:
            complaint, out = await _feed(process, chunks)
        finally:
            await end(process)
        if process.returncode:
            raise _failure(("index-pack",), complaint)
        # Its first line names the pack; what the sender put behind the pack comes after that.
        name = _PACK_NAME.match(out)
        if name is None:
            raise GitFailed("git did not say which pack it stored.")
        return self.path / "objects" / "pack" / f"pack-{name[1].decode()}.pack"

    async def has(self, oid: str) -> bool:
        try:
            await self.git("cat-file", "-e", oid)
        except GitFailed:
            return False
        return True

    async def commits(self) -> Parents:
        """Return every commit in the object store with its parents. Raises `GitFailed`."""
        form = "--batch-check=%(objecttype) %(objectname) %(objectsize)"
        listing = await self.git("cat-file", "--batch-all-objects", "--unordered", form)
        found: Parents = {}
        for ids in _portions(listing):
            found |= _parents(await self.git("cat-file", "--batch", stdin=ids))
        return found

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether git finds the one in the history of the other; False as well when objects are missing."""
        try:
            await self.git("merge-base", "--is-ancestor", ancestor, descendant)
        except GitFailed:
            return False
        return True


@asynccontextmanager
async def quarantine(parent: Path, object_format: str) -> AsyncIterator[Repository]:
    """A repository for one push, gone afterwards: what is refused leaves nothing behind."""
    try:
        scratch = await asyncio.to_thread(_scratch, parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full() from None
        raise GitFailed(f"The push cannot be kept while it is judged: {error.strerror}.") from None
    try:
        repository = Repository(scratch / "git", home=scratch, lasting=False)
        await repository.create(object_format)
        yield repository
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a process if it still runs, and wait for it.

    Not by `process.kill()`: that reaps a finished child behind the back of asyncio's own watcher.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    await process.wait()


def _scratch(parent: Path) -> Path:
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="push-", dir=parent))


async def _feed(process: asyncio.subprocess.Process, chunks: AsyncIterator[bytes]) -> tuple[bytes, bytes]:
    """Write the chunks to a process while its output is read. Returns stderr and stdout."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise GitFailed("git was started without pipes.")
    _widen(process.stdin)
    errors = asyncio.ensure_future(process.stderr.read())
    output = asyncio.ensure_future(process.stdout.read())
    try:
        async for chunk in chunks:
            process.stdin.write(chunk)
            await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has complained on stderr; what is left of the pack is not wanted
    finally:
        process.stdin.close()
        complaint, out = await asyncio.gather(errors, output)
        await process.wait()
    return complaint, out


def _widen(pipe: asyncio.StreamWriter) -> None:
    """A larger pipe, so that both sides are woken less often."""
    with suppress(OSError):  # more than this user may have
        fcntl.fcntl(pipe.get_extra_info("pipe"), fcntl.F_SETPIPE_SZ, _PIPE_LIMIT)


def disk_full() -> GitFailed:
    return GitFailed("The gateway's disk is full.", hint="The operator must make room there; then try again.")


def _failure(arguments: Sequence[str], complaint: bytes) -> GitFailed:
    if os.strerror(errno.ENOSPC).encode() in complaint:
        return disk_full()
    words = [word for word in arguments if not word.startswith(("-", "/"))]
    text = complaint.decode("utf-8", "replace")[-_LONGEST_COMPLAINT:].strip()
    return GitFailed(
        f"git {words[0] if words else ''} failed: {text.splitlines()[-1] if text else 'no reason'}"
    )


def _portions(listing: bytes) -> Iterator[bytes]:
    """The ids of the commits in a listing, as lines, so many at a time as can be read at once."""
    ids: list[bytes] = []
    room = _PORTION
    for line in listing.split(b"\n"):
        kind, _, rest = line.partition(b" ")
        if kind != b"commit":
            continue
        oid, _, size = rest.partition(b" ")
        if int(size) > _LONGEST_COMMIT:
            raise GitFailed(f"The commit {oid.decode()} is larger than {_LONGEST_COMMIT >> 20} MiB.")
        if ids and int(size) > room:
            yield b"\n".join([*ids, b""])
            ids, room = [], _PORTION
        ids.append(oid)
        room -= int(size)
    if ids:
        yield b"\n".join([*ids, b""])


def _parents(batch: bytes) -> Parents:
    """Read the output of `git cat-file --batch` for commits."""
    found: Parents = {}
    position = 0
    while position < len(batch):
        line_end = batch.index(b"\n", position)
        oid, _, size = batch[position:line_end].split()
        start = line_end + 1
        end = start + int(size)
        found[oid.decode()] = _commit_parents(batch, start, end)
        position = end + 1
    return found


def _commit_parents(batch: bytes, start: int, end: int) -> tuple[str, ...]:
    """The `parent` lines of a commit object: they follow the `tree` line directly."""
    tree = _TREE.match(batch, start, end)
    if tree is None:
        raise GitFailed("The push has a commit that git could not read.")
    parents: list[str] = []
    position = tree.end()
    while parent := _PARENT.match(batch, position, end):
        parents.append(parent[1].decode())
        position = parent.end()
    return tuple(parents)
