"""The gateway without a supervisor: `python -m plugins.git.gateway.standalone`, as compose.yaml runs it.

It takes its credentials out of the environment before anything else, listens on the plugin's own network,
and writes to a directory that the plugin reads where that is. Nothing can be approved here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from plugins.base.control.file_link import Files
from plugins.base.errors import ClaudeContainerError
from plugins.base.secrets import take_from_environment
from plugins.base.standalone import FORMAT, Places, parser, places, start_config
from plugins.git.gateway.main import CREDENTIALS, TOOL, serve

log = logging.getLogger(__name__)

_PORTS: Final = (8417, 8418)
_NAME: Final = "git-gateway"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway; the exit status."""
    taken = take_from_environment(os.environ.pop(CREDENTIALS, "").split())
    options = parser("python -m plugins.git.gateway.standalone")
    options.add_argument("--listen", default="gateway", help="Its name on the plugin's network.")
    options.add_argument(
        "--ports", type=int, nargs=2, default=_PORTS, help="For smart HTTP, and for streams."
    )
    given = options.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=FORMAT)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    where = places(given)
    try:
        doors = _doors(where, socket.gethostbyname(given.listen), *given.ports)
        config = start_config(TOOL, where).model_copy(
            update={"plugin": _NAME, "state": str(where.state_of(_NAME)), "origin": where.origin(), **doors}
        )
        files = Files(TOOL, where.policies, Path(config.state) / "audit.jsonl")
        asyncio.run(serve(config, taken, files.link))
    except ClaudeContainerError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 -- a problem of the user's world
        return 1
    except OSError as error:
        log.error("The gateway cannot start: %s.", error)  # noqa: TRY400 -- the same
        return 1
    return 0


def _doors(where: Places, address: str, http_port: int, stream_port: int) -> dict[str, str]:
    """Where this gateway listens, written down for the plugin. Raises `OSError`."""
    doors = {
        "gateway": f"http://{address}:{http_port}/{_capability(where.state_of(_NAME))}",
        "stream": f"{address}:{stream_port}",
    }
    door = where.door(TOOL)
    new = door.with_suffix(".new")
    with suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(doors, file)
    new.replace(door)
    return doors


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


if __name__ == "__main__":
    sys.exit(main())
