"""Build hook: puts the static `plugin-client` and the default policies into the wheel.

The wheel then serves any glibc or musl Linux of this machine's architecture, without a compiler.
"""

from __future__ import annotations

import platform
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASSETS = "supervisor/_assets"


class ClientBuildHook(BuildHookInterface[Any]):
    """Compiles the client into a scratch directory and adds it to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        self._scratch = tempfile.TemporaryDirectory(prefix="plugin-client-")
        client = Path(self._scratch.name) / "plugin-client"
        subprocess.run(
            ["make", "-C", str(root / "cli" / "agent"), "plugin-client", f"OUT={client}"], check=True
        )
        build_data["force_include"][str(client)] = f"{ASSETS}/plugin-client"
        build_data["force_include"][str(root / "config")] = f"{ASSETS}/config"
        for name in ("pyproject.toml", "claude"):  # images are built from these, too
            build_data["force_include"][str(root / name)] = f"{ASSETS}/build/{name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-manylinux_2_17_{platform.machine()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        scratch = getattr(self, "_scratch", None)
        if scratch is not None:
            scratch.cleanup()
