"""Where an agent lives, as SECURITY.md asks for it: a container that sees the workspace, the wrappers and
their sockets, the toolchain to read, and no process but its own. It shares the machine's network.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

_TOOLCHAIN = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")


def boxed(
    command: Iterable[str], *, at: Path, writable: Iterable[Path], readable: Iterable[Path] = ()
) -> list[str]:
    """The command line that runs the command in a box, where it can have one."""
    words = [*_EMPTY, "--chdir", str(at)] if can_box() else []
    if words:
        for option, paths in (("--bind", writable), ("--ro-bind", readable)):
            words[-2:-2] = [word for path in paths for word in (option, str(path), str(path))]
        words.append("--")
    return [*words, *command]


def search_path(*first: Path) -> str:
    """A PATH of what can be seen in a box."""
    entries = [entry for entry in os.environ["PATH"].split(os.pathsep) if entry.startswith(_TOOLCHAIN)]
    return os.pathsep.join([*map(str, first), *entries])


@functools.cache
def can_box() -> bool:
    """Whether this machine lets us make one. Skips the test where there is no bubblewrap."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed (apt install bubblewrap)")
    return subprocess.run([*_EMPTY, "--", "true"], capture_output=True, check=False).returncode == 0


_EMPTY = [
    "bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-drop", "ALL",
    *(word for path in _TOOLCHAIN for word in ("--ro-bind-try", path, path)),
    "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
]  # fmt: skip
