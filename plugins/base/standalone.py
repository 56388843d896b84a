"""A plugin without a supervisor: `python -m plugins.base.standalone TOOL`, as compose.yaml runs it.

It follows its policy file itself, writes its audit log to its state directory, and approves nothing. The
paths are those of a container; a tool with a gateway waits until the gateway has said where it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchfiles import awatch

from plugins.base.control import StartConfig
from plugins.base.control.file_link import Files
from plugins.base.errors import ClaudeContainerError
from plugins.base.main import serve
from plugins.base.registry import plugin_class

log = logging.getLogger(__name__)

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LOOK_AGAIN: Final = 5_000  # milliseconds, for a file system that tells nothing


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are in the plugin's container. `name` is what the workspace is called outside."""

    policies: Path
    sockets: Path
    state: Path
    workspace: Path
    doors: Path  # the gateway writes here where it listens; the plugin reads it
    pins: Path  # a file: by the name of a workspace, the origin that it had first
    client: Path
    name: str

    def state_of(self, plugin: str) -> Path:
        return self.state / plugin

    def door(self, tool: str) -> Path:
        return self.doors / f"{tool}.json"

    def origin(self) -> str:
        """The pinned origin. Raises `ClaudeContainerError` when none was ever pinned."""
        try:
            return str(json.loads(self.pins.read_bytes())[self.name])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ClaudeContainerError(
                f"It is not known which origin {self.name} had at first: {self.pins} does not say it.",
                hint="Run first: python -m plugins.git.pin",
            ) from error


def parser(program: str) -> argparse.ArgumentParser:
    """Options for every place, with a container's own as defaults."""
    new = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    for option, default in (
        ("--policies", "/etc/claude-container"), ("--sockets", "/run/plugins"),
        ("--state", "/var/lib/claude-container"), ("--workspace", "/workspace"),
        ("--doors", "/run/doors"), ("--pins", "/run/pins/origins.json"),
        ("--client", "/opt/claude-container/bin/plugin-client"),
    ):  # fmt: skip
        new.add_argument(option, type=Path, default=Path(default))
    new.add_argument("--name", default=os.environ.get("WORKSPACE", "/workspace"))
    return new


def places(options: argparse.Namespace) -> Places:
    return Places(**{name: getattr(options, name) for name in Places.__dataclass_fields__})


def log_to_stderr() -> None:
    """Where the container's log is read."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=_FORMAT)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one plugin; the exit status."""
    options = parser("python -m plugins.base.standalone")
    options.add_argument("tool")
    options.add_argument(
        "--gateway",
        action="store_true",
        help="It has one by `network.allow` (plugins.base.egress.standalone).",
    )
    given = options.parse_args(arguments)
    log_to_stderr()
    try:
        asyncio.run(_run(given.tool, places(given), waits=given.gateway))
    except ClaudeContainerError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 -- a problem of the user's world
        return 1
    return 0


async def _run(tool: str, where: Places, *, waits: bool) -> None:
    config = start_config(tool, where)
    files = Files(tool, where.policies, Path(config.state) / "audit.jsonl")
    if not (waits or plugin_class(tool).gateway):
        await serve(config, link=files.link)
        return
    said = await _said(where.door(tool))
    running = asyncio.create_task(serve(_through(config, said, where), link=files.link))
    moved = asyncio.create_task(_until_other(where.door(tool), said))
    await asyncio.wait([running, moved], return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        log.warning("The gateway listens elsewhere now: this plugin ends, and is to be started anew.")
        signal.raise_signal(signal.SIGTERM)
    moved.cancel()
    await running


def start_config(tool: str, where: Places) -> StartConfig:
    """What a supervisor would have said. The control socket and its token are nobody's."""
    return StartConfig(
        plugin=tool,
        socket=str(where.sockets / f"{tool}.sock"),
        control="",
        token="",
        workspace=str(where.workspace),
        state=str(where.state_of(tool)),
        client=str(where.client),
        path=os.environ.get("PATH", os.defpath),
    )


def _through(config: StartConfig, said: bytes, where: Places) -> StartConfig:
    """The same, for a tool that reaches remotes through its gateway."""
    try:
        door = json.loads(said)
        found = {"gateway": str(door["gateway"]), "stream": str(door["stream"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ClaudeContainerError("What the gateway wrote cannot be read.", hint="Restart it.") from error
    origin = where.origin() if plugin_class(config.plugin).gateway else ""
    return config.model_copy(update={**found, "origin": origin})


async def _said(door: Path) -> bytes:
    """What the gateway wrote, as soon as it did."""
    if not (said := _read(door)):
        log.info("Waiting for the gateway to say where it listens (%s).", door)
        await _until_other(door, said)
    return _read(door)


async def _until_other(door: Path, said: bytes) -> None:
    watching = awatch(door.parent, step=50, rust_timeout=_LOOK_AGAIN, yield_on_timeout=True)
    async for _ in watching:
        if (now := _read(door)) and now != said:
            return


def _read(door: Path) -> bytes:
    try:
        return door.read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
