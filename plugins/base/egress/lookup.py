"""What a name stands for, and which addresses are this machine's own. Each connection looks once."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy.hosts import LOCALHOST, Target

_WITHIN: Final = 15.0  # seconds
_MOST: Final = 16  # addresses of one name
_INNER_BITS: Final = 29  # of the network that only a tool and its gateway are on
_LOCALHOST: Final = ("127.0.0.1", "::1")
_ROUTES: Final = Path("/proc/net/route")


class NoSuchHost(ClaudeContainerError):
    """The name stands for nothing, as far as can be found out."""


async def addresses_of(target: Target) -> tuple[str, ...]:
    """The addresses to connect to, in the order in which to try them. Raises `NoSuchHost`."""
    if target.host == LOCALHOST:
        return _LOCALHOST
    if target.address is not None:
        return (target.host,)
    try:
        async with asyncio.timeout(_WITHIN):
            found = await asyncio.get_running_loop().getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM
            )
    except TimeoutError:
        raise NoSuchHost(f"{target.host} could not be looked up in time.") from None
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise NoSuchHost(f"{target.host} cannot be looked up: {why}.") from error
    return tuple(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))[:_MOST]


def own_of(addresses: tuple[str, ...], listens_on: str) -> tuple[str, ...]:
    """Those that reach this machine itself: its addresses, its routers, the network of the tool's plugin."""
    return tuple(each for each in addresses if _is_own(each, listens_on))


def _is_own(text: str, listens_on: str) -> bool:
    address = ipaddress.ip_address(text)
    inner = ipaddress.ip_network(f"{listens_on}/{_INNER_BITS}", strict=False)
    return (address.version == inner.version and address in inner) or _is_here(text) or text in _routers()


def _is_here(address: str) -> bool:
    """Whether an interface has the address: only then something can be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        return True
    return False


def _routers() -> frozenset[str]:
    """Where packets go that leave here; in a container that is the machine which it runs on."""
    try:
        lines = _ROUTES.read_text(encoding="ascii").splitlines()[1:]
    except (OSError, UnicodeError):
        return frozenset()
    gateways = (line.split()[2] for line in lines if len(line.split()) > 2)
    return frozenset(_written(each) for each in gateways if each.strip("0"))


def _written(hexadecimal: str) -> str:
    return socket.inet_ntoa(struct.pack("=I", int(hexadecimal, 16)))
