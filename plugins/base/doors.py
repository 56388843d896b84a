"""Where gateways listen. Pure.

A door is written http://ADDRESS:PORT/CAPABILITY; the capability is the secret that opens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GATEWAY: Final = "-gateway"  # a gateway is named after its tool


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
