"""Where a workspace's origin is, by its own configuration, read without running anything of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PATIENCE: Final = 10.0  # seconds that git may take
_USERINFO: Final = re.compile(r"^(https?://)[^/@]*@", re.IGNORECASE)


def current_origin(workspace: Path, path: str) -> str:
    """The first URL of origin, without credentials; "" for none. `path` is where git is looked up."""
    # safe.directory: the operator may not be the one who owns the files; `git config` runs nothing.
    read = ("-c", "safe.directory=*", "-C", str(workspace), "config", "--null", "--get-all")
    environment = {
        "PATH": path, "LC_ALL": "C", "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0",
    }  # fmt: skip
    first = (
        ask_git((*read, "remote.origin.url"), environment)
        .partition(b"\0")[0]
        .decode("utf-8", "surrogateescape")
    )
    return _USERINFO.sub(r"\1", first).encode("utf-8", "backslashreplace").decode()


def ask_git(arguments: tuple[str, ...], environment: Mapping[str, str]) -> bytes:
    """What git, found on the environment's PATH, prints; nothing when it fails or is not there."""
    program = shutil.which("git", path=environment["PATH"])
    if program is None:
        return b""
    try:
        done = subprocess.run(
            (program, *arguments), env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_PATIENCE, check=False, cwd="/",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""
