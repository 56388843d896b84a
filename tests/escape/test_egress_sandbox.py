"""Code that a tool runs reaches nothing but the tool's gateway, whatever it calls; natively it would."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.e2e.network import Site, site_for
from tests.escape.egress import Server
from tests.escape.egress_scripts import OWN_DOOR, SCRIPTS
from tests.plugins.base.workers import needs_whole_sandbox

TOOL, OTHER = "python3", "env"
_OTHER_POLICY = "plugin: env\nversion: 1\nnetwork: {{allow: ['127.0.0.1:{port}']}}\nrules: {{}}\n"


@dataclass
class Place:
    """A tool with a gateway, another one whose gateway may reach the server, and the server."""

    site: Site
    server: Server
    datagrams: socket.socket
    stolen: str
    seen: int = 0

    def script(self, script: str) -> str:
        given = {"PORT": self.server.port, "OWN": _own_address(), "STOLEN": self.stolen}
        return "".join(f"{name} = {value!r}\n" for name, value in given.items()) + script

    def runs(self, script: str) -> str:
        """In the sandbox, as the agent would start it."""
        return self.site.says("-c", self.script(script))

    def reached(self) -> bool:
        """Whether anybody came since the last time."""
        before, self.seen = self.seen, self.server.visits
        datagram = bool(select.select([self.datagrams], [], [], 0)[0])
        if datagram:
            self.datagrams.recv(99)
        return datagram or self.seen > before


def _own_address() -> str:
    """Where this machine is in its network; loopback when it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if sock.connect_ex(("192.0.2.1", 9)):
            return "127.0.0.1"
        return str(sock.getsockname()[0])


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with (
        site_for(TOOL, b"page") as site,
        closing(Server()) as server,
        closing(_datagrams(server.port)) as sock,
    ):
        site.allow(f"localhost:{site.ports[0]}", on_block="refuse")
        site.home.policy_file(OTHER).write_text(_OTHER_POLICY.format(port=server.port))
        site.wait(TOOL, OTHER)
        yield Place(site, server, sock, _steal(site))


def _datagrams(port: int) -> socket.socket:
    """Takes them on all addresses."""
    if not socket.has_dualstack_ipv6():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    else:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("", port))
    return sock


def _steal(site: Site) -> str:
    """How the other tool is told of its gateway; the agent may read that."""
    environment = {"PATH": f"{site.home.cli}:/usr/bin:/bin", "PLUGIN_SOCKET_DIR": str(site.home.sockets)}
    told = subprocess.run(
        [OTHER], cwd=site.project, env=environment, capture_output=True, text=True, check=True
    )
    return next(line for line in told.stdout.splitlines() if line.startswith("HTTPS_PROXY=")).partition("=")[
        2
    ]


@needs_whole_sandbox
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_reaches_nothing_from_the_sandbox(place: Place, name: str) -> None:
    said = place.runs(SCRIPTS[name])
    assert not place.reached(), said


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_would_natively(place: Place, name: str) -> None:
    program = [sys.executable, "-c", place.script(SCRIPTS[name])]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    if not place.reached():
        pytest.skip(f"this machine cannot do that: {done.stderr[-300:]}")


def test_the_gateway_is_reached(place: Place) -> None:
    """So that the rest shows something: there is one way out, for who has its secret."""
    assert place.runs(OWN_DOOR).split() == ["407", "403", "407"]
    assert not place.reached()
