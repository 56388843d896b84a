"""The base of npm's image, made once: there is no registry to pull node's own from."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.engine import BASE

NODE: Final = "claude-container-base:node"


def make_node() -> None:
    with (Path(tempfile.gettempdir()) / "claude-container-node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = subprocess.run(["docker", "image", "inspect", NODE], capture_output=True, check=False)
        if there.returncode:
            file = Path(__file__).with_name("node_base.Containerfile")
            subprocess.run(
                ["docker", "build", "-q", "-t", NODE, "--build-arg", f"BASE={BASE}", "-"],
                stdin=file.open(), check=True,
            )  # fmt: skip
