"""Git URLs in one normal form, so that policy, gateway and people mean the same repository. Pure.

Source: git-fetch(1), "GIT URLS". `git@host:o/r.git`, `ssh://git@host/o/r` and `https://host/o/r.git` name
one repository; the gateway reaches it by https. What could be read in two ways is not read at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from plugins.git import patterns

ORIGIN: Final = "origin"
_DEFAULT_PORTS: Final = {"https": "443", "http": "80", "ssh": "22"}
_URL: Final = re.compile(
    r"(?P<scheme>https?|ssh|git\+ssh|ssh\+git)://(?:(?P<user>[^/@#?\\\s]*)@)?(?P<host>[A-Za-z0-9.*-]+|\[[0-9A-Fa-f:]+\])"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/.*)?"
)
_SCP: Final = re.compile(
    r"(?:(?P<user>[^/@:#?\\\s]*)@)?(?P<host>[A-Za-z0-9.*-]+|\[[0-9A-Fa-f:]+\]):(?P<path>(?!//).+)"
)
_PLAIN_PATH: Final = re.compile(r"[\w.~+*@,=-]+(/[\w.~+*@,=-]+)*")


@dataclass(frozen=True, slots=True)
class GitUrl:
    """A repository: on a host, or on this machine (scheme "file", no host)."""

    scheme: str  # how the gateway reaches it: "https", "http" or "file"
    host: str  # lower case, with the port when it is not the default one
    path: str  # without a slash at either end (but for "file": absolute), and without ".git"

    def __str__(self) -> str:
        return self.path if self.scheme == "file" else f"{self.scheme}://{self.host}/{self.path}"


def parse_url(text: str) -> GitUrl | None:
    """Return the repository that a URL (or a pattern of URLs) names; None when it names none for certain.

    Userinfo is dropped. Percent signs, empty segments and `..` are not accepted: a server might read
    them otherwise than the policy does.
    """
    if text.startswith(("/", "file:///")):
        return _local(text.removeprefix("file://"))
    if found := _URL.fullmatch(text):
        return _remote(found["scheme"], found["host"], found["port"], found["path"] or "")
    if "://" not in text and "::" not in text and (found := _SCP.fullmatch(text)):
        return _remote("ssh", found["host"], None, "/" + found["path"].lstrip("/"))
    return None


def _local(path: str) -> GitUrl | None:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        return None
    return GitUrl("file", "", "/" + "/".join(parts))


def _remote(scheme: str, host: str, port: str | None, path: str) -> GitUrl | None:
    path = path.removeprefix("/").removesuffix("/").removesuffix(".git")
    if not _PLAIN_PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
        return None
    if scheme in ("http", "https"):
        suffix = f":{port}" if port and port != _DEFAULT_PORTS[scheme] else ""
        return GitUrl(scheme, host.lower() + suffix, path)
    # The port of an ssh server says nothing about where the same host speaks https.
    return GitUrl("https", host.lower(), path)


def covers(pattern: str, url: GitUrl, origin: str) -> bool:
    """Whether a pattern of `remotes` names the repository. `origin` is what "origin" stands for.

    `*` stands for any text, but only behind the host.
    """
    named = parse_url(origin if pattern == ORIGIN else pattern)
    if named is None or pattern == ORIGIN:
        return named == url
    return (named.scheme, named.host) == (url.scheme, url.host) and patterns.matches(named.path, url.path)


def host_name(url: GitUrl) -> str:
    """The host without its port, as `credential_hosts` names it."""
    return re.sub(r":\d+$", "", url.host)
