"""The gateway of `network.allow` as it runs, with a server that it may reach and one that it must not.

Both listen everywhere on this machine, and both only count who came. In a box the gateway finds names of its
own, which somebody has pointed where they should not point.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from plugins.base.control import StartConfig
from tests.escape.box import can_box
from tests.escape.process import PATIENCE, Log, start
from tests.upstream import free_port

CAPABILITY: Final = "the-secret-part-of-the-address"
WELCOME: Final = b"reached"
# Names and what they stand for. The policy allows each, with the port of the server that must not be reached.
NAMES: Final = {
    "trick.example": "127.0.0.1",
    "trick6.example": "::1",
    "mapped.example": "::ffff:127.0.0.1",
    "nobody.example": "0.0.0.0",
    "x.wild.example": "127.0.0.1",
    "other-loopback.example": "127.1.2.3",
}  # fmt: skip
# These cannot be reached here anyhow; what counts is that nobody tries.
FAR_NAMES: Final = {
    "metadata.example": "169.254.169.254",
    "link6.example": "fe80::1",
    "x.private.example": "10.0.0.1",
    "multicast.example": "224.0.0.1",
}


class Server:
    """Counts connections, on every address of this machine, and welcomes them."""

    def __init__(self) -> None:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        self._socket = socket.create_server(("", 0), family=family, dualstack_ipv6=both, backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._visits = self._own = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._visits += 1
                with closing(connection), suppress(OSError):
                    connection.sendall(WELCOME)

    @property
    def visits(self) -> int:
        """How many came so far. Whoever came before us was counted before us."""
        self._own += 1
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock:
            assert sock.recv(99) == WELCOME
        return self._visits - self._own

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class Egress:
    """A gateway, and both servers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.allowed, self.forbidden = Server(), Server()
        self.port = free_port()
        self.log = Log(root / "log")

    # ------------------------------------------------------------ sending

    def head(self, target: str, *fields: str, method: str = "CONNECT", secret: str = CAPABILITY) -> bytes:
        token = base64.b64encode(f"claude-{'a' * 32}:{secret}".encode()).decode()
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {target}",
            f"Proxy-Authorization: Basic {token}",
            *fields,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    @property
    def honest(self) -> bytes:
        """A request for what is allowed."""
        return self.head(f"127.0.0.1:{self.allowed.port}")

    async def send(self, data: bytes, *, ends: bool = True) -> bytes:
        """Send it all, and return whatever comes back until the other side closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answer = bytearray()
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                writer.write(data)
                await writer.drain()
                if ends:
                    writer.write_eof()
            with suppress(ConnectionError):
                while chunk := await reader.read(1 << 16):
                    answer += chunk
        writer.close()
        return bytes(answer)

    async def works(self) -> bool:
        """Whether it still does what it is for."""
        return (await self.send(self.honest, ends=False)).endswith(WELCOME)

    # ------------------------------------------------------------ what came of it


def reaches(host: str, port: int) -> bool:
    """Whether the host, as it is written, is a way to the server: of any program, natively or in a box."""
    code = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).recv(99))"
    with tempfile.TemporaryDirectory(prefix="cc-hosts-") as directory:
        command = _with_names(Path(directory), [sys.executable, "-c", code, host, str(port)])
        done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    return WELCOME in done.stdout


def _with_names(root: Path, command: list[str]) -> list[str]:
    """Run it where `NAMES` stand for what they say."""
    if not can_box():
        return command
    hosts = root / "hosts"
    names = {"localhost": "127.0.0.1", **NAMES, **FAR_NAMES}
    hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))
    return [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--ro-bind",
        str(hosts),
        "/etc/hosts",
        "--die-with-parent",
        *command,
    ]


def _policy(allowed: int, forbidden: int) -> str:
    hosts = [f"127.0.0.1:{allowed}", f"allowed.example:{allowed}"]
    hosts += [f"{name}:{forbidden}" for name in (*NAMES, *FAR_NAMES)]
    hosts = [f"*.{host.removeprefix('x.')}" if host.startswith("x.") else host for host in hosts]
    allow = ", ".join(f'"{host}"' for host in hosts)
    return f"plugin: npm\nversion: 1\nnetwork: {{allow: [{allow}]}}\nrules: {{}}\napprovals: {{on_block: refuse}}\n"


@contextmanager
def egress() -> Iterator[Egress]:
    """A running gateway, as the supervisor starts it."""
    root = Path(tempfile.mkdtemp(prefix="cc-egress-")).resolve()
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, root, ignore_errors=True)
        here = Egress(root)
        for server in (here.allowed, here.forbidden):
            ends.callback(server.close)
        process = _start(here)
        ends.callback(process.wait)
        ends.callback(process.terminate)
        yield here


def _start(here: Egress) -> subprocess.Popen[bytes]:
    state = here.root / "state"
    state.mkdir()
    (state / "policy.yaml").write_text(_policy(here.allowed.port, here.forbidden.port))
    config = StartConfig(
        plugin="npm-gateway", socket="", control=str(here.root / "control.sock"), token="",
        workspace="/nonexistent", state=str(state), client="", path=os.environ["PATH"],
        gateway=f"http://127.0.0.1:{here.port}/{CAPABILITY}",
    )  # fmt: skip
    file = here.root / "start.json"
    file.write_text(config.model_dump_json())
    command = _with_names(here.root, [sys.executable, "-m", "plugins.base.egress", str(file)])
    return start(command, here.log, here.port, at=here.root)
