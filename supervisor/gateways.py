"""Gateways: the second process of a tool whose plugin has one, and where the two find each other.

A gateway is named after its tool, goes by the tool's policy file, and has neither wrapper nor socket.
"""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from plugins.base.errors import ClaudeContainerError
from plugins.base.registry import plugin_class
from supervisor.state_db import StateDb

SUFFIX: Final = "-gateway"
_KEY: Final = "gateway:"
_HOST: Final = "127.0.0.1"
_NEVER_OUTGOING: Final = range(10_000, 32_768)  # ports below those that Linux gives to connections by itself
_TRIES: Final = 100


def is_gateway(name: str) -> bool:
    return name.endswith(SUFFIX)


def tool_of(name: str) -> str:
    """The tool whose policy this plugin goes by."""
    return name.removesuffix(SUFFIX)


def gateway_of(tool: str) -> str | None:
    """The name of the tool's gateway; None when its plugin has none."""
    try:
        return tool + SUFFIX if plugin_class(tool).gateway else None
    except ClaudeContainerError:
        return None  # what is wrong with the plugin shows when it starts


def module_of(name: str) -> str:
    """The Python module that runs this plugin."""
    return plugin_class(tool_of(name)).gateway if is_gateway(name) else "plugins.base"


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a gateway listens, and the secret that opens it: see `StartConfig`."""

    gateway: str = ""
    stream: str = ""


def doors(tool: str, db: StateDb, *, running: bool) -> Doors:
    """Where the tool's gateway listens on this machine: the same as last time while that can be.

    `running`: a gateway of an earlier supervisor may hold the ports.
    """
    if gateway_of(tool) is None:
        return Doors()
    kept = _kept(db.get(_KEY + tool))
    if kept is not None and (running or _free(kept)):
        return kept
    new = _new()
    db.set(_KEY + tool, json.dumps([new.gateway, new.stream]))
    return new


def _kept(text: str | None) -> Doors | None:
    return Doors(*json.loads(text)) if text else None


def _new() -> Doors:
    with closing(socket.socket()) as first, closing(socket.socket()) as second:
        ports = [_bind(each) for each in (first, second)]
    return Doors(f"http://{_HOST}:{ports[0]}/{secrets.token_urlsafe(32)}", f"{_HOST}:{ports[1]}")


def _bind(sock: socket.socket) -> int:
    """Take a free port that no outgoing connection is given before the gateway listens there."""
    for _ in range(_TRIES):
        with suppress(OSError):
            sock.bind((_HOST, secrets.choice(_NEVER_OUTGOING)))
            break
    else:
        sock.bind((_HOST, 0))
    return int(sock.getsockname()[1])


def _free(chosen: Doors) -> bool:
    """Whether both ports can be listened on."""
    for address in (chosen.gateway.split("/")[2], chosen.stream):
        host, _, port = address.rpartition(":")
        with closing(socket.socket()) as each:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                each.bind((host, int(port)))
            except OSError:
                return False
    return True
