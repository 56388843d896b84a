"""Pins a workspace's origin, once: `python -m plugins.git.pin`, as compose.yaml runs it before all else.

Nothing else reads the workspace's own word for where origin is; what the agent changes later changes nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from plugins.base.standalone import parser, places
from plugins.git.origin import current_origin


def main(arguments: Sequence[str] | None = None) -> int:
    """Pin the origin that the workspace has now, unless one was pinned; show it."""
    where = places(parser("python -m plugins.git.pin").parse_args(arguments))
    pins = _read(where.pins)
    if where.name not in pins:
        pins[where.name] = current_origin(where.workspace, os.environ.get("PATH", os.defpath))
        _write(where.pins, pins)
    sys.stdout.write(f"origin of {where.name}: {pins[where.name] or 'none (nothing can be pushed)'}\n")
    return 0


def _read(path: Path) -> dict[str, str]:
    """The pins so far. A file that cannot be understood is an error: nothing may be pinned anew."""
    try:
        pins = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    if not isinstance(pins, dict):
        raise TypeError(f"{path} does not hold pins")
    return pins


def _write(path: Path, pins: dict[str, str]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(pins, indent=1), encoding="utf-8")
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
