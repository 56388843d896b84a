"""Real programs through the gateway of `network.allow`, and what the agent reads when one is refused."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

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


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """`env` runs whatever it is given. The first server may be reached, the second not."""
    with site_for("env", _wheel(), _wheel()) as site:
        site.allow(f"localhost:{site.ports[0]}", on_block="refuse")
        site.wait(site.tool)
        yield site


def _pip() -> list[str]:
    """The pip that Debian keeps for new virtual environments, or the machine's own."""
    wheels = sorted(Path("/usr/share/python-wheels").glob("pip-*.whl"))
    return ["/usr/bin/python3", f"{wheels[0]}/pip"] if wheels else ["/usr/bin/python3", "-m", "pip"]


CURL: Final = [
    "curl",
    "--silent",
    "--show-error",
    "--cacert",
    "localhost.pem",
    "--output",
    "got",
    "--write-out",
    "%{http_code}",
]
PYTHON: Final = ["/usr/bin/python3", "-c", URLLIB]
PIP: Final = [*_pip(), "download", "--no-cache-dir", "--retries=0", "--cert=localhost.pem", "--dest=packages"]


@pytest.mark.parametrize(
    ("program", "there", "native"),
    [
        (CURL, "200", "CONNECT tunnel failed, response 403"),
        (PYTHON, "PK", "Tunnel connection failed: 403 localhost"),
        (PIP, "Successfully downloaded", "Tunnel connection failed: 403 localhost"),
    ],
    ids=["curl", "urllib", "pip"],
)
def test_a_program_reaches_what_is_allowed_and_says_why_not(
    site: Site, program: list[str], there: str, native: str
) -> None:
    """Why comes first, from the gateway, then whatever the tool itself makes of it."""
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    allowed, other = (
        f"https://localhost:{port}/{name}-1.0-py3-none-any.whl"
        for port, name in zip(site.ports, ("hello", "other"), strict=True)
    )
    assert there in site.says(*program, allowed)
    refused = site.says(*program, other)
    assert (
        f"error: localhost:{site.ports[1]} is not among the hosts that env may reach.\n"
        "rule: network.allow (policy line 3)\n"
        f"hint: Use one of network.allow (localhost:{site.ports[0]}), or ask the operator to add it.\n"
    ) in refused
    assert refused.index("error: localhost") < refused.index(native)


def test_plain_http_is_refused_with_a_way_forward(site: Site) -> None:
    if shutil.which(CURL[0]) is None:
        pytest.skip("curl is not installed")
    said = site.says(*CURL, f"http://localhost:{site.ports[0]}/")
    assert said.startswith(
        f"error: http://localhost:{site.ports[0]} cannot pass: only https does, by a CONNECT request.\n"
        f"hint: Ask for https://localhost:{site.ports[0]} instead.\n"
    )


def test_git_within_another_tool_is_refused_as_others_are(site: Site) -> None:
    """It is not stopped by the machine's own configuration, which it may not read."""
    said = site.says("git", "ls-remote", "https://other.example/x.git")
    assert "hint: Use one of network.allow" in said
    assert "response 403" in said
