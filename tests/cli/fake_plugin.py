"""A plugin's end of the socket, for tests to play by hand, and the client as an agent would call it.

Nothing here runs beside the test: it accepts, reads and answers in the order that it wants.
"""

from __future__ import annotations

import array
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE = 30.0  # seconds before a conversation that hangs fails its test
_RIGHTS = socket.CMSG_SPACE(8 * array.array("i").itemsize)


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def response(exit_code: object = 0, **members: object) -> dict[str, Any]:
    answer = {"success": exit_code == 0, "exit_code": exit_code, "stdout": "", "stderr": "", "error": None}
    return {**answer, **members}


class Peer:
    """One conversation. Received descriptors belong to it, unless taken out of `fds`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def receive(self) -> dict[str, Any]:
        """The next frame; descriptors that came with it are in `fds` then."""
        length = int.from_bytes(self._exactly(4), "big")
        frame = json.loads(self._exactly(length))
        assert isinstance(frame, dict)
        return frame

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece, ancillary, _, _ = self.sock.recvmsg(min(size - len(data), 1 << 20), _RIGHTS)
            for _, _, rights in ancillary:
                numbers = array.array("i")
                numbers.frombytes(rights)
                self.fds += numbers
            if not piece:
                raise EOFError(f"the client closed after {len(data)} of {size} bytes")
            data += piece
        return data

    def send(self, payload: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        self.send_bytes(framed(json.dumps(payload).encode()), fds)

    def send_bytes(self, data: bytes, fds: Sequence[int] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([data], rights)
        if sent < len(data):  # the client may be gone once it has all
            self.sock.sendall(data[sent:])

    def run(self, *args: str, number: int = 1, fds: Sequence[int] | None = None, **members: object) -> None:
        """Ask the client to run a program, with the client's own descriptors unless others are given."""
        frame = {"action": "run", "run": number, "args": args, "env": {}, "cwd": "/", **members}
        self.send(frame, self.fds[:3] if fds is None else fds)

    def settle(self) -> None:
        """Return when the client attends to signals."""
        self.run("true", number=0)
        assert self.receive() == {"action": "ran", "run": 0, "exit_code": 0}

    def is_left(self) -> bool:
        """Whether the client has closed its end; waits for that."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def drop_fds(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()

    def close(self) -> None:
        self.drop_fds()
        self.sock.close()


class FakePlugin:
    """A listening socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.settimeout(PATIENCE)
        self._listener.bind(str(path))
        self._listener.listen()

    def accept(self) -> Peer:
        return Peer(self._listener.accept()[0])

    def close(self) -> None:
        self._listener.close()


@dataclass
class Agent:
    """An agent's side: wrappers on PATH, a directory of sockets, a place to work in."""

    client: Path
    root: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    plugins: list[FakePlugin] = field(default_factory=list)

    @property
    def sockets(self) -> Path:
        return self.root / "sockets"

    @property
    def work(self) -> Path:
        return self.root / "work"

    def plugin(self, name: str = "git") -> FakePlugin:
        """Listen for the tool, and make its wrapper."""
        plugin = FakePlugin(self.sockets / f"{name}.sock")
        self.plugins.append(plugin)
        return plugin

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "PLUGIN_SOCKET_DIR": str(self.sockets),
            "ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1", **more,
        }  # fmt: skip

    def link(self, name: str) -> Path:
        link = self.root / "bin" / name
        if not link.exists():
            link.symlink_to(self.client)
        return link

    def start(self, name: str, *arguments: str | bytes, **options: Any) -> subprocess.Popen[bytes]:
        """Start "git" or another wrapper, or "plugin-client"; see `start_program` for the rest."""
        return self.start_program(self.link(name), *arguments, **options)

    def start_program(self, *command: str | bytes | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start it with pipes for all three descriptors, in the place to work in."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        chosen = {"cwd": self.work, "env": self.environment(), **pipes, **options}
        process = subprocess.Popen(command, **chosen)
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for plugin in self.plugins:
            plugin.close()
        shutil.rmtree(self.root)


def new_agent(client: Path) -> Agent:
    # Not pytest's tmp_path: a socket's path has 107 bytes at most.
    agent = Agent(client, Path(tempfile.mkdtemp(prefix="cc-")))
    for name in ("bin", "sockets", "work"):
        (agent.root / name).mkdir()
    return agent


@dataclass(frozen=True)
class End:
    """How a client ended."""

    status: int
    stdout: bytes
    stderr: bytes


def end_of(process: subprocess.Popen[bytes], stdin: bytes = b"") -> End:
    """Wait for the client; checks that no sanitizer had anything to say."""
    stdout, stderr = process.communicate(stdin, timeout=PATIENCE)
    for sign in (b"Sanitizer", b"runtime error"):
        assert sign not in stderr, stderr.decode(errors="replace")
    return End(process.returncode, stdout, stderr)
