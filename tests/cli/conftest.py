"""The client under test is the one with AddressSanitizer and UBSan, built once."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fake_plugin import Agent, FakePlugin, new_agent

_SOURCE = Path(__file__).parents[2] / "cli" / "agent"


@pytest.fixture(scope="session")
def checked_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("cc") or not shutil.which("make"):
        pytest.skip("needs a C compiler and make")
    # The directory above is shared by the processes of pytest-xdist.
    with (tmp_path_factory.getbasetemp().parent / "plugin-client.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-C", _SOURCE, "plugin-client-asan"], check=True, capture_output=True)
    return _SOURCE / "plugin-client-asan"


@pytest.fixture
def agent(checked_client: Path) -> Iterator[Agent]:
    agent = new_agent(checked_client)
    yield agent
    agent.close()


@pytest.fixture
def git(agent: Agent) -> FakePlugin:
    """The plugin that `agent.start("git", ...)` talks to."""
    return agent.plugin("git")
