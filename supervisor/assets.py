"""What ships with the program besides its code: the client, the default and the example policies.

In a checkout they lie where they are worked on; in a wheel, below `supervisor/_assets` (see
hatch_build.py). Nothing here writes outside the checkout.
"""

from __future__ import annotations

import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Final

from plugins.base.errors import ClaudeContainerError

_CHECKOUT: Final = Path(__file__).parents[1]
_BUILD_PATIENCE: Final = 120.0  # seconds


def client_binary() -> Path | None:
    """Return the static `plugin-client`, built first in a checkout; None without binary and compiler.

    Raises `ClaudeContainerError` when it does not compile.
    """
    packaged = _packaged() / "plugin-client"
    if packaged.is_file():
        return packaged
    built = _CHECKOUT / "cli" / "agent" / "plugin-client"
    if not built.is_file():
        _build(built.parent)
    return built if built.is_file() else None


def default_policies() -> list[Path]:
    """Return the policies that a new home starts with, by name."""
    return sorted(_config().glob("*.yaml"))


def shipped_policy(name: str) -> Path | None:
    """Return the default policy of this name, or the example for the tool, or None when there is none."""
    shipped = (*default_policies(), *(_config() / "examples").glob("*.yaml"))
    return next((path for path in shipped if path.stem == name), None)


def default_images() -> Path:
    """Return the file that says what images are made of."""
    return _config() / "images.toml"


def build_sources(name: str) -> Path:
    """Return the file or directory that images are built from, by its place in a checkout."""
    packaged = _packaged() / "build" / name
    return packaged if packaged.exists() else _CHECKOUT / name


def _packaged() -> Path:
    # An installed wheel lies in a directory as it is; it is never run from a zip file.
    return Path(str(resources.files("supervisor"))) / "_assets"


def _config() -> Path:
    packaged = _packaged() / "config"
    return packaged if packaged.is_dir() else _CHECKOUT / "config"


def _build(directory: Path) -> None:
    """Compile the client when the source and a compiler are there."""
    if not (directory / "Makefile").is_file() or not shutil.which("make") or not shutil.which("cc"):
        return
    command = ["make", "--no-print-directory", "-C", str(directory), "plugin-client"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_BUILD_PATIENCE,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ClaudeContainerError(
            f"plugin-client does not compile: {last}", hint=f"See: make -C {directory} plugin-client"
        )
