"""Hosts that a tool may reach: the entries of `network.allow`, and what a connection asks for. Pure.

Both are read into one spelling: names of DNS in lower case and ASCII, addresses as the `ipaddress` module
writes them, always with a port. Whatever could be read in two ways (`127.1`, `0x7f.1`, a trailing dot) is no
host at all. `ValueError` says in plain words what is wrong.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

HTTPS: Final = 443
LOCALHOST: Final = "localhost"
_LONGEST: Final = 253  # characters of a name (RFC 1035, section 2.3.4)

_PARTS: Final = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>.*))?", re.DOTALL)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """A host and port."""

    host: str
    port: int

    @property
    def address(self) -> Address | None:
        """The address, when the host is written as one."""
        return _address(self.host)

    @property
    def is_written_out(self) -> bool:
        """Whether it is an address or `localhost`, which no server of names can turn elsewhere."""
        return self.host == LOCALHOST or self.address is not None

    @property
    def entry(self) -> str:
        """As `network.allow` has it."""
        text = str(self)
        return text.removesuffix(f":{HTTPS}") if self.port == HTTPS else text

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """One entry of `network.allow`. A wildcard is for every name below its host, not for the host itself."""

    target: Target
    wildcard: bool = False

    def matches(self, target: Target) -> bool:
        if not self.wildcard:
            return self.target == target
        return target.port == self.target.port and target.host.endswith(f".{self.target.host}")


@lru_cache(maxsize=1024)
def parse_target(text: str) -> Target:
    """Read `host:port`, as a request has it. Upper case is the same as lower case. Raises `ValueError`."""
    if not text.isascii():
        raise ValueError("must be in ASCII: such a name is sent as xn--...")
    target, port = _read(text.lower())
    if port is None:
        raise ValueError("must have a port, such as registry.npmjs.org:443")
    return target


@lru_cache(maxsize=1024)
def parse_allowed(text: str) -> Allowed:
    """Read an entry of `network.allow`: `host`, `host:port` or `*.domain`. Raises `ValueError`."""
    _check_writing(text)
    wildcard = text.startswith("*.")
    target, _ = _read(text.removeprefix("*.") if wildcard else text)
    if wildcard and (target.is_written_out or "." not in target.host):
        raise ValueError("must name at least a domain after `*.`, such as *.example.com")
    return Allowed(target, wildcard)


def _check_writing(text: str) -> None:
    """Say what was probably meant."""
    if "://" in text or "/" in text:
        rest = text.partition("://")[2] if "://" in text else text
        raise ValueError(f"must be a host, not a URL{_instead(rest.partition('/')[0])}")
    if "@" in text:
        raise ValueError("must be a host, without a user")
    if text == "*":
        raise ValueError("must name the hosts; there is no entry for every host")
    if "*" in text.removeprefix("*."):
        raise ValueError("can have `*` only as the first label, such as *.example.com")
    if not text.isascii():
        raise ValueError(f"must be in ASCII{_instead(_punycode(text))}")
    if text != text.lower():
        raise ValueError(f"must be in lower case{_instead(text.lower())}")
    if text.partition(":")[0].endswith("."):
        raise ValueError("must not end with a dot")


def _instead(text: str) -> str:
    try:
        parse_allowed(text)
    except ValueError:
        return ""
    return f"; write {text}"


def _punycode(text: str) -> str:
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _read(text: str) -> tuple[Target, int | None]:
    """Host and port, and the port that was written (None: the usual one)."""
    parts = _PARTS.fullmatch(text)
    if parts is None:
        wants = "; an address with colons stands in brackets" if text.count(":") > 1 else ""
        raise ValueError(f"must be a host such as registry.npmjs.org or localhost:4873{wants}")
    port = _port(parts["port"]) if parts["port"] is not None else None
    host = _ipv6(parts["v6"]) if parts["v6"] is not None else _name(parts["name"])
    return Target(host, HTTPS if port is None else port), port


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise ValueError("must have a port from 1 to 65535 after the colon")
    return int(text)


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("must have an IPv6 address in its brackets") from None


def _name(text: str) -> str:
    """A name of DNS, or an IPv4 address in its usual spelling."""
    labels = text.split(".")
    if len(text) > _LONGEST or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("must be a host such as registry.npmjs.org or localhost:4873")
    if _NUMBER.fullmatch(labels[-1]):  # then resolvers take it for an address, however odd
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise ValueError("must be a whole address such as 192.0.2.1") from None
    return text


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
