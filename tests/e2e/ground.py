"""What tests with containers stand on: a project whose origin is a real remote that containers reach.

The remote listens on the host's address of a bridge network made for it: gateways reach that, as they reach
any remote in the world.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supervisor.containers.engine import Engine
from tests.upstream import SmartHttp, native

REPOSITORY: Final = "private/p.git"
UID: Final = 12345  # an ordinary user, who has no name anywhere
WITHIN: Final = 60.0  # seconds for what takes one or two
_POLICY: Final = Path(__file__).parents[2] / "config" / "git.yaml"


@dataclass(frozen=True)
class Ground:
    """A short directory, with a workspace `w` and a home `h` below, and the remote."""

    root: Path
    upstream: SmartHttp

    @property
    def workspace(self) -> Path:
        return self.root / "w"

    @property
    def home(self) -> Path:
        return self.root / "h"

    @property
    def policy(self) -> Path:
        return self.home / "config" / "git.yaml"

    def refs(self) -> dict[str, str]:
        return self.upstream.refs(REPOSITORY)

    def allow_the_token_here(self) -> None:
        """The shipped policy, but for the one host that a test's token is for, which has no TLS;
        what is blocked is refused at once."""
        named = f'["{self.upstream.url(REPOSITORY)}"]'
        policy = _POLICY.read_text().replace("[github.com]", f'["{self.upstream.host}"]')
        policy = policy.replace("push: [origin]", f"push: {named}")
        policy = policy.replace('fetch: [origin, "https://github.com/*"]', f"fetch: {named}")
        self.policy.write_text(policy.replace("on_block: hold", "on_block: refuse"))

    def give_away(self) -> None:
        """To the user that the containers run as."""
        for path in (self.home, self.workspace):
            subprocess.run(["chown", "-R", f"{UID}:{UID}", str(path)], check=True)

    def write(self, name: str, text: str) -> Path:
        """A file in the workspace, as the agent would write it."""
        path = self.workspace / name
        path.write_text(text)
        path.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(path, UID, UID)
        return path


@contextmanager
def ground(engine: Engine) -> Iterator[Ground]:
    root = Path(tempfile.mkdtemp(prefix="cc", dir="/tmp"))
    root.chmod(0o755)
    try:
        with bridge(engine, root.name) as address:
            (root / "upstream").mkdir()
            with SmartHttp(root / "upstream", address) as upstream:
                upstream.create(REPOSITORY)
                made = Ground(root, upstream)
                _fill(made)
                yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _fill(made: Ground) -> None:
    here = str(made.workspace)
    native("init", "-q", "-b", "main", here)
    native("-C", here, "commit", "-q", "--allow-empty", "-m", "First")
    native("-C", here, "push", "-q", made.upstream.authorized_url(REPOSITORY), "main")
    native("-C", here, "remote", "add", "origin", made.upstream.url(REPOSITORY))


@contextmanager
def bridge(engine: Engine, name: str) -> Iterator[str]:
    """A network of its own; the host's address on it."""
    made = engine.api.create_network(
        f"{name}-upstream", driver="bridge", labels={"claude-container.test": name}
    )
    try:
        facts = engine.api.inspect_network(made["Id"])
        yield str(facts["IPAM"]["Config"][0]["Gateway"])
    finally:
        engine.api.remove_network(made["Id"])


def until(condition: Callable[[], bool], why: Callable[[], str] = str, within: float = WITHIN) -> None:
    """Wait for it; says why it did not come."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)
