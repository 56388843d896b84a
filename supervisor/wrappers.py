"""What the agent finds first on its PATH: `plugin-client`, and a link to it for each tool.

Files that the operator put there (a wrapper script of their own) are never touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from plugins.base.doors import is_gateway
from plugins.base.errors import ClaudeContainerError
from plugins.base.policy.schema import is_tool_name
from supervisor.assets import client_binary
from supervisor.containers.names import AGENT
from supervisor.files import replace_file
from supervisor.home import Home

CLIENT: Final = "plugin-client"
# The supervisor's log lies among those of the plugins; the agent itself is found behind the wrappers.
_RESERVED: Final = frozenset({"supervisor", AGENT})


def is_free_name(name: str) -> bool:
    """Whether a plugin can have this name: it is one of a tool, and none of our own."""
    return is_tool_name(name) and not _is_reserved(name)


def _is_reserved(name: str) -> bool:
    return name.startswith(CLIENT) or name in _RESERVED or is_gateway(name)


def check_tool_name(name: str) -> None:
    """Raise `ClaudeContainerError` when no plugin can have this name."""
    if not is_tool_name(name):
        raise ClaudeContainerError(
            f"{name!r} cannot be the name of a tool.",
            hint="Use letters, digits, and . _ + - after the first; at most 64 in all.",
        )
    if _is_reserved(name):
        raise ClaudeContainerError(f"The name {name!r} is taken.", hint="Choose the name of another tool.")


def install_client(home: Home) -> bool:
    """Put this version's client in place; True when something changed.

    The old one is replaced by a rename, so that clients that run go on. Raises `ClaudeContainerError`.
    """
    wanted = _client(home)
    target = home.cli / CLIENT
    if _is_installed(target, wanted):
        return False
    if target.is_symlink():
        target.unlink()  # a link would be followed, and what it leads to replaced
    replace_file(target, wanted, mode=0o755)
    return True


def _client(home: Home) -> bytes:
    """The program: as it ships, else compiled here, else out of the image of the git plugin."""
    source = client_binary()
    if source is not None:
        return source.read_bytes()
    from supervisor.images.of_home import client_of_image  # brings the engine's SDK

    taken = client_of_image(home)
    if taken is None:
        raise ClaudeContainerError(
            "plugin-client is not built, and there is no C compiler to build it.",
            hint="Run: claude-container build git  (or install a compiler: apt install gcc libc6-dev make)",
        )
    return taken


def _is_installed(target: Path, wanted: bytes) -> bool:
    try:
        fine = not target.is_symlink() and target.stat().st_mode & 0o777 == 0o755
        return fine and target.read_bytes() == wanted
    except OSError:
        return False


def install_wrapper(home: Home, tool: str) -> bool:
    """Make `tool` a link to the client; True when it was not. Raises `ClaudeContainerError`."""
    check_tool_name(tool)
    wrapper = home.cli / tool
    try:
        wrapper.symlink_to(CLIENT)
    except FileExistsError:
        return False  # ours already, or the operator's own
    except OSError as error:
        raise _cannot("make", wrapper, error) from error
    return True


def remove_wrapper(home: Home, tool: str) -> bool:
    """Take our link for `tool` away; True when there was one. Raises `ClaudeContainerError`."""
    check_tool_name(tool)
    wrapper = home.cli / tool
    try:
        if not wrapper.is_symlink() or str(wrapper.readlink()) != CLIENT:
            return False
        wrapper.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _cannot("remove", wrapper, error) from error
    return True


def _cannot(verb: str, wrapper: Path, error: OSError) -> ClaudeContainerError:
    return ClaudeContainerError(
        f"Cannot {verb} the wrapper {wrapper}: {error.strerror}.",
        hint=f"Make {wrapper.parent} writable for you.",
    )
