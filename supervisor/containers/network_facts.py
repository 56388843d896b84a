"""The networks of containers: who meets whom, and at which address. Pure facts, no engine."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Final

from supervisor.containers.names import AGENT, REPOSITORY

_SUBNET_POOL: Final = ipaddress.IPv4Network("10.213.0.0/16")
_SUBNET_BITS: Final = 29
_AGENTS_BITS: Final = 24  # of the agents' network: there may be many at once
_NO_HOST: Final = "com.docker.network.bridge.inhibit_ipv4"
_NO_NEIGHBOURS: Final = "com.docker.network.bridge.enable_icc"


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge network. An internal one has no way out, and the host has no address on it."""

    name: str
    internal: bool
    subnet: str = ""  # "": the engine chooses
    chosen: str = ""  # what of the subnet the engine chooses from; "": any of it

    @property
    def options(self) -> dict[str, str]:
        """Options of the bridge driver: engines of themselves give the host an address on internal networks,
        and so containers a way to whatever listens on the host."""
        return {_NO_HOST: "true"} if self.internal else {_NO_NEIGHBOURS: "false"}


@dataclass(frozen=True, slots=True)
class Attachment:
    network: Network
    address: str = ""  # "": the engine chooses


def inner_network(instance: str, tool: str, attempt: int = 0) -> Network:
    """The network that only the tool's plugin and gateway are on; for `AGENT`, the agents and their gateway.

    Its subnet is the same each time; another `attempt` gives another one, for when it is taken.
    """
    bits = _AGENTS_BITS if tool == AGENT else _SUBNET_BITS
    digest = hashlib.sha256(f"{instance}/{tool}/{attempt}".encode()).digest()
    step = 1 << (32 - bits)
    index = int.from_bytes(digest[:4], "big") % (_SUBNET_POOL.num_addresses // step)
    subnet = ipaddress.IPv4Network((int(_SUBNET_POOL.network_address) + index * step, bits))
    chosen = str(list(subnet.subnets())[1]) if tool == AGENT else ""  # the gateway's address is kept free
    return Network(f"{REPOSITORY}-{instance}-{tool}", internal=True, subnet=str(subnet), chosen=chosen)


def outer_network(instance: str) -> Network:
    """The way out, for gateways. Containers on it cannot reach each other."""
    return Network(f"{REPOSITORY}-{instance}-out", internal=False)


def gateway_address(network: Network) -> str:
    return str(ipaddress.IPv4Network(network.subnet)[2])


def plugin_address(network: Network) -> str:
    return str(ipaddress.IPv4Network(network.subnet)[3])
