"""What a remote's URL means, as git reads it. Pure, but for `real_path`, which follows links.

Source: git-fetch(1), "GIT URLS", and gitremote-helpers(7).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from urllib.parse import unquote

_SCHEME = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
_NETWORK = frozenset({"http", "https", "ssh", "git", "git+ssh", "ssh+git", "ftp", "ftps"})
_USER = re.compile(r"^([A-Za-z0-9+.-]+://)([^/@]*)@")


class Kind(Enum):
    LOCAL = "local"
    NETWORK = "network"
    HELPER = "helper"  # a program would speak for it: ext::, fd::, or an unknown scheme


def kind(url: str) -> Kind:
    if _HELPER.match(url):
        return Kind.HELPER
    scheme = _SCHEME.match(url)
    if scheme:
        name = scheme[1].lower()
        return Kind.LOCAL if name == "file" else Kind.NETWORK if name in _NETWORK else Kind.HELPER
    colon, slash = url.find(":"), url.find("/")
    return Kind.NETWORK if colon >= 0 and (slash < 0 or colon < slash) else Kind.LOCAL


def without_credentials(url: str) -> str:
    """The URL without user and password; for ssh, whose user is no secret, without the password."""

    def keep(match: re.Match[str]) -> str:
        user = match[2].partition(":")[0]
        return f"{match[1]}{user}@" if "ssh" in match[1] and user else match[1]

    return _USER.sub(keep, url)


def local_path(url: str, base: str) -> str:
    """The absolute path that a local URL names; relative ones start at `base`."""
    path = unquote(url[len("file://") :]) if url.lower().startswith("file://") else url
    if url.lower().startswith("file://") and not path.startswith("/"):
        path = f"/{path.partition('/')[2]}"  # file://localhost/path
    return os.path.normpath(os.path.join(base, path))  # noqa: PTH118


def anchored(url: str, base: str) -> str:
    """The URL; one of this machine as an absolute path."""
    return local_path(url, base) if url and kind(url) is Kind.LOCAL else url


def real_path(path: str) -> str:
    """The repository's own directory with all links followed; `name` also finds `name.git`, as git does."""
    candidate = Path(path)
    if not candidate.exists() and Path(f"{path}.git").exists():
        candidate = Path(f"{path}.git")
    return str(candidate.resolve())


def rewritten(url: str, settings: Mapping[str, tuple[str, ...]], *, push: bool) -> str:
    """Apply `url.<base>.pushInsteadOf` and `url.<base>.insteadOf`: the longest prefix wins."""
    if push:
        changed = _instead(url, settings, ".pushinsteadof")
        if changed is not None:
            return changed
    changed = _instead(url, settings, ".insteadof")
    return url if changed is None else changed


def _instead(url: str, settings: Mapping[str, tuple[str, ...]], suffix: str) -> str | None:
    found: Iterable[tuple[str, str]] = (
        (prefix, key[len("url.") : -len(suffix)])
        for key, prefixes in settings.items()
        if key.startswith("url.") and key.endswith(suffix)
        for prefix in prefixes
        if url.startswith(prefix)
    )
    best = max(found, key=lambda each: len(each[0]), default=None)
    return None if best is None else best[1] + url[len(best[0]) :]
