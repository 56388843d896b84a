"""Opens the directory that a command is to run in, when it is inside the workspace.

The descriptor is what is judged and what is used: replacing the directory, or a link on the way to it,
between the two changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from plugins.base.errors import Denied

_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def open_inside(untrusted_path: str, roots: Iterable[str]) -> int:
    """Return a descriptor of the directory. `roots` are real paths. Raises `Denied`."""
    if not untrusted_path.startswith("/"):
        raise Denied("The working directory is not an absolute path.")
    try:
        descriptor = os.open(untrusted_path, _FLAGS)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds a null byte"
        raise Denied(f"The working directory cannot be opened: {why}.") from error
    try:
        _check(descriptor, roots)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(descriptor: int, roots: Iterable[str]) -> None:
    """Judge by where the kernel says that the open directory is now."""
    if os.fstat(descriptor).st_nlink == 0:
        raise Denied("The working directory was deleted.")
    real = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 -- on the way of every command
    if not any(real == root or real.startswith(f"{root.rstrip('/')}/") for root in roots):
        raise Denied(
            "The working directory is outside the workspace.", hint="Run the command in the workspace."
        )
