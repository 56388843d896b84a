"""What gateways are called, and where they listen. Pure.

A door is written http://ADDRESS:PORT/CAPABILITY; the capability is the secret that opens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_GATEWAY: Final = "-gateway"  # a gateway is named after its tool


def is_gateway(name: str) -> bool:
    return name.endswith(_GATEWAY)


def tool_of(name: str) -> str:
    """The tool whose policy a plugin, or a gateway, goes by."""
    return name.removesuffix(_GATEWAY)


def gateway_name(tool: str) -> str:
    """What the tool's gateway is called, if it has one."""
    return tool + _GATEWAY


@dataclass(frozen=True, slots=True)
class Door:
    host: str
    port: int
    capability: str

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port


def door(text: str) -> Door:
    """Read http://ADDRESS:PORT/CAPABILITY."""
    where, _, capability = text.removeprefix("http://").partition("/")
    return Door(*address(where), capability)


def address(text: str) -> tuple[str, int]:
    """ADDRESS:PORT in its two parts."""
    host, _, port = text.rpartition(":")
    return host, int(port)
