"""Whose an address is: the internet's, a private network's, or that of this very machine. Pure.

A name that is allowed can be pointed anywhere by whoever runs its DNS. Nothing of that reaches what is this
machine's own, and only a name that the policy writes out reaches a private network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from plugins.base.policy.hosts import Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Public by its number, but on one provider's machines it answers each of them about itself.
_ALSO_LOCAL: Final = frozenset({ipaddress.IPv4Address("168.63.129.16")})


class Whose(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"  # not the internet's: RFC 1918, unique local, shared, documentation, ...
    LOCAL = "local"  # loopback, link-local (where clouds answer about the machine), nobody's, everybody's


def whose(text: str) -> Whose:
    """Of an address in its usual spelling. Those that stand for another one are that one's, too."""
    found = {_whose(each) for each in _meant(ipaddress.ip_address(text))}
    return next(each for each in (Whose.LOCAL, Whose.PRIVATE, Whose.PUBLIC) if each in found)


def _whose(address: Address) -> Whose:
    local = (
        address.is_loopback, address.is_link_local, address.is_unspecified, address.is_multicast,
        address.is_reserved and not (address.version == 6 and address in _NAT64), address in _ALSO_LOCAL,
    )  # fmt: skip
    if any(local):
        return Whose.LOCAL
    return Whose.PUBLIC if address.is_global else Whose.PRIVATE


def _meant(address: Address) -> Iterator[Address]:
    """The address, or the one that it carries: connecting to it connects there."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        carried.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    known = [each for each in carried if each is not None]
    yield from known
    if address.ipv4_mapped is None and address not in _NAT64:
        yield address
