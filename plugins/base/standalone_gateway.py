"""What a gateway without a supervisor is told by compose.yaml, and what it tells its plugin.

It listens on the plugin's own network, and writes where that is to a directory which the plugin reads.
Nothing can be approved here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from plugins.base.control import StartConfig
from plugins.base.control.file_link import Files
from plugins.base.control.link import LinkFactory
from plugins.base.doors import gateway_name
from plugins.base.errors import ClaudeContainerError
from plugins.base.standalone import log_to_stderr, parser, places, start_config

log = logging.getLogger(__name__)

# A variable with the secret that opens the door, where somebody else must know it, too.
CAPABILITY: Final = "CLAUDE_CONTAINER_CAPABILITY"

Serve = Callable[[StartConfig, LinkFactory], Coroutine[Any, Any, None]]


def gateway_parser(program: str, ports: tuple[int, ...]) -> argparse.ArgumentParser:
    """Options for every place, and where to listen; `ports` are the defaults."""
    new = parser(program)
    new.add_argument("--listen", default="gateway", help="Its name on the plugin's network.")
    new.add_argument("--ports", type=int, nargs=len(ports), default=ports, help="The first one is for HTTP.")
    return new


def run_standalone(tool: str, given: argparse.Namespace, serve: Serve, *, origin: bool = False) -> int:
    """Run the tool's gateway; the exit status. `origin`: it has to know the workspace's pinned one."""
    told = os.environ.pop(CAPABILITY, "")
    log_to_stderr()
    where, name = places(given), gateway_name(tool)
    try:
        capability = told or _capability(where.state_of(name))
        doors = _doors(socket.gethostbyname(given.listen), given.ports, capability)
        if not told:  # else whoever is to know it was told as well
            _write_down(where.door(tool), doors)
        config = start_config(tool, where).model_copy(
            update={
                "plugin": name, "state": str(where.state_of(name)),
                "origin": where.origin() if origin else "", **doors,
            }
        )  # fmt: skip
        files = Files(tool, where.policies, Path(config.state) / "audit.jsonl")
        asyncio.run(serve(config, files.link))
    except ClaudeContainerError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 -- a problem of the user's world
        return 1
    except OSError as error:
        log.error("The gateway cannot start: %s.", error)  # noqa: TRY400 -- the same
        return 1
    return 0


def _doors(address: str, ports: Sequence[int], capability: str) -> dict[str, str]:
    """Where this gateway listens."""
    stream = f"{address}:{ports[1]}" if len(ports) > 1 else ""
    return {"gateway": f"http://{address}:{ports[0]}/{capability}", "stream": stream}


def _write_down(door: Path, doors: dict[str, str]) -> None:
    """For the plugin. Raises `OSError`."""
    new = door.with_suffix(".new")
    with suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(doors, file)
    new.replace(door)


def _capability(state: Path) -> str:
    """The secret part of the address: the same at every start."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = state / "capability"
    with (
        suppress(FileExistsError),
        os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new,
    ):
        new.write(secrets.token_urlsafe(32))
    return kept.read_text(encoding="ascii")
