"""A gateway as it runs, before a remote that protects nothing, for sending it whatever bytes one likes.

No git stands between: what is sent here is what an agent could send that writes to the doors itself.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from plugins.base.control import StartConfig
from tests.escape.process import PATIENCE, Log, start
from tests.upstream import TOKEN, USER, SmartHttp, free_port, native

PROJECT: Final = "private/project.git"
OTHER: Final = "private/other.git"
CAPABILITY: Final = "the-secret-part-of-the-address"
ZERO: Final = "0" * 40
BASIC: Final = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
ASKED: Final = b"\0 report-status side-band-64k"

_POLICY: Final = """\
plugin: git
version: 1
credentials: {GITHUB_TOKEN: "${GITHUB_TOKEN}"}
credential_hosts: {GITHUB_TOKEN: [127.0.0.1]}
remotes: {push: [origin], fetch: [origin]}
rules:
  blocked_branches: [main, master, release/*]
  allowed_branch_patterns: [claude/*]
approvals: {on_block: refuse}
"""


def line(payload: bytes | str) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    return b"%04x%s" % (len(data) + 4, data)


def command(old: str, new: str, ref: str | bytes, tail: bytes = b"") -> bytes:
    name = ref.encode() if isinstance(ref, str) else ref
    return line(f"{old} {new} ".encode() + name + tail)


def push(*updates: tuple[str, str, str | bytes], pack: bytes = b"", asked: bytes = ASKED) -> bytes:
    """A whole push request."""
    lines = [command(*update, asked if index == 0 else b"") for index, update in enumerate(updates)]
    return b"".join(lines) + b"0000" + pack


class Wire:
    """The remote, objects to push, and both doors of the gateway."""

    def __init__(self, root: Path, remote: SmartHttp) -> None:
        self.remote = remote
        self.state = root / "state"
        self.log = Log(root / "log")
        self._packs: dict[tuple[str, ...], bytes] = {}
        self._repository = root / "repository"
        self._template = root / "template"
        self.http_port, self.stream_port = free_port(), free_port()
        self._make_objects()
        self.before = self.refs()

    def _make_objects(self) -> None:
        """main, claude/other and `mine` all start from main's first commit; `orphan` from nothing."""
        for name in (PROJECT, OTHER):
            self.remote.create(name)
        native("init", "--quiet", "--initial-branch=main", str(self._repository))
        self.base = self._commit("base")
        self.main = self._commit("main")
        self.other = self._commit("other")
        self.mine = self._commit("mine")
        self.next = self._commit("next", parent=self.other)
        self.orphan = self._commit("orphan", parent="")
        project = str(self.remote.path(PROJECT))
        names = {"main": self.main, "release/1": self.base, "claude/other": self.other}
        specs = [f"{oid}:refs/heads/{name}" for name, oid in names.items()]
        self.git("push", "--quiet", project, *specs, f"{self.base}:refs/tags/v0")
        self.git("push", "--quiet", str(self.remote.path(OTHER)), f"{self.main}:refs/heads/main")
        native("-C", project, "symbolic-ref", "refs/heads/claude/alias", "refs/heads/main")
        shutil.copytree(self.remote.root / "repositories", self._template)

    def _commit(self, text: str, parent: str | None = None) -> str:
        """A commit on main (the first ones), on what is named, or on nothing."""
        parents = getattr(self, "main", getattr(self, "base", "")) if parent is None else parent
        (self._repository / "file").write_text(f"{text}\n")
        self.git("add", "file")
        tree = self.git("write-tree").strip()
        return self.git("commit-tree", "-m", text, *(("-p", parents) if parents else ()), tree).strip()

    def git(self, *arguments: str) -> str:
        return native("-C", str(self._repository), *arguments)

    def pack(self, *revisions: str) -> bytes:
        """A pack of these commits and what belongs to them; `^COMMIT` leaves out what is there."""
        if revisions not in self._packs:
            done = subprocess.run(
                ["git", "-C", str(self._repository), "pack-objects", "--revs", "--stdout", "--quiet"],
                input="\n".join(revisions).encode(), capture_output=True, check=True,
            )  # fmt: skip
            self._packs[revisions] = done.stdout
        return self._packs[revisions]

    # ------------------------------------------------------------ sending

    def path(self, name: str = PROJECT, *, capability: str = CAPABILITY, prefix: str = "-/http") -> str:
        return f"/{capability}/{prefix}/127.0.0.1:{self.remote.port}/git/{name}"

    def post(
        self, body: bytes, *headers: str, service: str = "git-receive-pack", path: str | None = None
    ) -> bytes:
        """An HTTP request with everything that it needs, as bytes."""
        length = () if any(_sets_length(each) for each in headers) else (f"Content-Length: {len(body)}",)
        lines = [
            f"POST {path or self.path()}/{service} HTTP/1.1", f"Host: 127.0.0.1:{self.http_port}",
            "Connection: close", f"Content-Type: application/x-{service}-request", *length, *headers,
        ]  # fmt: skip
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def get(self, target: str, *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
        lines = [f"{method} {target} HTTP/{version}", "Host: gateway", "Connection: close", *headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def head(
        self, service: str = "git-receive-pack", *, rest: str = "", capability: str = CAPABILITY
    ) -> bytes:
        rest = rest or f"127.0.0.1:{self.remote.port}/git/{PROJECT}"
        return f"{capability} - {service} http {rest}\n".encode()

    async def http(self, data: bytes, *, ends: bool = False) -> bytes:
        """`ends`: say that no more will come, which over HTTP means to go away."""
        return await _exchange(self.http_port, data, ends=ends)

    async def past_the_gateway(self, body: bytes) -> bytes:
        """The same push request, straight to the remote and with the credential."""
        path = f"/git/{PROJECT}"
        request = self.post(body, f"Authorization: Basic {BASIC}", path=path)
        return await _exchange(self.remote.port, request, ends=False)

    async def stream(self, data: bytes) -> bytes:
        return await _exchange(self.stream_port, data, ends=True)

    # ------------------------------------------------------------ what came of it

    def refs(self) -> dict[str, dict[str, str]]:
        return {name: self.remote.refs(name) for name in (PROJECT, OTHER)}

    def changed(self) -> set[str]:
        """Which refs are not what they were, in the project by name, elsewhere with the repository."""
        now, found = self.refs(), set()
        for name in (PROJECT, OTHER):
            refs = now[name].keys() | self.before[name].keys()
            differ = {ref for ref in refs if now[name].get(ref) != self.before[name].get(ref)}
            found |= differ if name == PROJECT else {f"{name} {ref}" for ref in differ}
        return found

    def reset(self) -> None:
        """Put the remote back, if it is not what it was."""
        if not self.changed():
            return
        repositories = self.remote.root / "repositories"
        shutil.rmtree(repositories)
        shutil.copytree(self._template, repositories)

    def leaks(self, answer: bytes) -> bool:
        return any(each.encode() in answer for each in (TOKEN, BASIC))

    def token_on_disk(self) -> list[Path]:
        """The gateway's files that hold the token."""
        files = [self.log.path, *(path for path in self.state.rglob("*") if path.is_file())]
        return [path for path in files if self.leaks(path.read_bytes())]

    async def push_honestly(self) -> bool:
        """Whether the gateway still takes a push that it should take. Puts the remote back."""
        body = push((ZERO, self.mine, "refs/heads/claude/honest"), pack=self.pack(self.mine, f"^{self.main}"))
        answer = await self.http(self.post(body))
        arrived = self.remote.refs(PROJECT).get("refs/heads/claude/honest") == self.mine
        self.reset()
        return arrived and b"ok refs/heads/claude/honest" in answer


def _sets_length(header: str) -> bool:
    return header.lower().startswith(("content-length", "transfer-encoding"))


async def _exchange(port: int, data: bytes, *, ends: bool) -> bytes:
    """Send it all, and return whatever comes back until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = bytearray()
    async with asyncio.timeout(PATIENCE):
        sending = asyncio.ensure_future(_send(writer, data, ends))
        try:
            with suppress(ConnectionError):
                while chunk := await reader.read(1 << 16):
                    answer += chunk
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()
    return bytes(answer)


async def _send(writer: asyncio.StreamWriter, data: bytes, ends: bool) -> None:
    with suppress(ConnectionError):
        writer.write(data)
        await writer.drain()
        if ends:
            writer.write_eof()


@contextmanager
def wire() -> Iterator[Wire]:
    """A running gateway, as the supervisor starts it. Skips where there is no lighttpd."""
    root = Path(tempfile.mkdtemp(prefix="cc-wire-")).resolve()
    (root / "upstream").mkdir()
    try:
        with SmartHttp(root / "upstream") as remote:
            here = Wire(root, remote)
            process = _start(root, here)
            try:
                yield here
            finally:
                process.terminate()
                process.wait()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _start(root: Path, here: Wire) -> subprocess.Popen[bytes]:
    here.state.mkdir()
    (here.state / "policy.yaml").write_text(_POLICY)
    config = StartConfig(
        plugin="git-gateway", socket="", control=str(root / "control.sock"), token="",
        workspace="/nonexistent",
        state=str(here.state), client="", path=os.environ["PATH"], origin=here.remote.url(PROJECT),
        gateway=f"http://127.0.0.1:{here.http_port}/{CAPABILITY}", stream=f"127.0.0.1:{here.stream_port}",
    )  # fmt: skip
    (root / "start.json").write_text(config.model_dump_json())
    secrets = {"CLAUDE_CONTAINER_CREDENTIALS": "GITHUB_TOKEN", "GITHUB_TOKEN": TOKEN}
    command = [sys.executable, "-m", "plugins.git.gateway", str(root / "start.json")]
    return start(command, here.log, here.http_port, here.stream_port, at=root, more=secrets)
