"""Real programs through the gateway of `network.allow`, and what the agent reads when one is refused."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from supervisor.api.client import Client
from tests.e2e.network import Site, site_for

URLLIB: Final = """\
import ssl, sys, urllib.request
trust = ssl.create_default_context(cafile="localhost.pem")
print(urllib.request.urlopen(sys.argv[1], context=trust).read()[:2].decode())
"""


def _wheel() -> bytes:
    """An empty package, as pip takes it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        archive.writestr(
            "hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("hello-1.0.dist-info/RECORD", "")
    return data.getvalue()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """`env` runs whatever it is given."""
    monkeypatch.setenv("PATH", f"/usr/bin{os.pathsep}/bin")
    with site_for("env", _wheel(), _wheel()) as site:
        yield site


@pytest.fixture
async def site(started: Site) -> Site:
    """The first server may be reached, the second not."""
    started.allow(f"localhost:{started.ports[0]}", on_block="refuse")
    client = await Client.connect(started.home, operator=True)
    try:
        await started.works(client, started.tool, started.gateway)
    finally:
        await client.close()
    return started


def _pip() -> list[str]:
    """The pip that Debian keeps for new virtual environments, or the machine's own."""
    wheels = sorted(Path("/usr/share/python-wheels").glob("pip-*.whl"))
    return ["/usr/bin/python3", f"{wheels[0]}/pip"] if wheels else ["/usr/bin/python3", "-m", "pip"]


CURL: Final = ["curl", "--silent", "--show-error", "--cacert", "localhost.pem", "--output", "got"]
PYTHON: Final = ["/usr/bin/python3", "-c", URLLIB]
PIP: Final = [*_pip(), "download", "--no-cache-dir", "--retries=0", "--cert=localhost.pem", "--dest=got"]


@pytest.mark.parametrize(
    ("program", "native"),
    [
        (CURL, "CONNECT tunnel failed, response 403"),
        (PYTHON, "Tunnel connection failed: 403 localhost"),
        (PIP, "Tunnel connection failed: 403 localhost"),
    ],
    ids=["curl", "urllib", "pip"],
)
async def test_a_program_reaches_what_is_allowed_and_says_why_not(
    site: Site, program: list[str], native: str
) -> None:
    """Why comes first, from the gateway, then whatever the tool itself makes of it."""
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    allowed, other = (
        f"https://localhost:{port}/{name}-1.0-py3-none-any.whl"
        for port, name in zip(site.ports, ("hello", "other"), strict=True)
    )
    reached = await asyncio.to_thread(site.says, *program, allowed)
    assert "PK" in reached or (site.project / "got").exists(), reached
    refused = await asyncio.to_thread(site.says, *program, other)
    assert (
        f"error: localhost:{site.ports[1]} is not among the hosts that env may reach.\n"
        "rule: network.allow (policy line 3)\n"
        f"hint: Use one of network.allow (localhost:{site.ports[0]}), or ask the operator to add it.\n"
    ) in refused
    assert refused.index("error: localhost") < refused.index(native)


async def test_plain_http_is_refused_with_a_way_forward(site: Site) -> None:
    said = await asyncio.to_thread(site.says, *CURL, f"http://localhost:{site.ports[0]}/")
    assert said == (
        f"error: http://localhost:{site.ports[0]} cannot pass: only https does, by a CONNECT request.\n"
        f"hint: Ask for https://localhost:{site.ports[0]} instead.\n"
    )


async def test_git_within_another_tool_is_refused_as_others_are(site: Site) -> None:
    """It is not stopped by the machine's own configuration, which it may not read."""
    said = await asyncio.to_thread(site.says, "git", "ls-remote", "https://other.example/x.git")
    assert "hint: Use one of network.allow" in said
    assert "response 403" in said
